/**
 * What is worth saying about a model on its way: read off its status, nothing else.
 *
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';

/** Conditions whose coming true is a step of its own; the others repeat what Ready says. */
const milestones = ['ArtifactReady', 'ModelLoaded', 'ProvidersActive', 'RouteReady'];

/** The sentences that the status holds now. Those that were not there before are news. */
export function sentencesOf({ status }: OnnxModel): readonly string[] {
  const conditions = status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'Ready');
  const made = conditions.filter(({ type, status: is }) => milestones.includes(type) && is === 'True');
  return [
    ...made.map(({ type, message }) => `${type}: ${shortened(message)}`),
    ...(ready === undefined ? [] : [`${status?.phase ?? ''}: ${shortened(ready.message)}`]),
  ];
}

/** Serving just what the spec asks for, with nothing left of a revision before. */
export function isSettled({ metadata, status }: OnnxModel): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return (
    status?.observedGeneration === metadata.generation &&
    ready?.observedGeneration === metadata.generation &&
    ready.status === 'True' &&
    status.phase === 'Stable'
  );
}

/** Why it will not get there by itself; undefined while it may. */
export function whyStalled({ metadata, status }: OnnxModel): string | undefined {
  if (status?.observedGeneration !== metadata.generation) return undefined;
  const stalled = status.conditions?.find(({ type, status: is }) => type === 'Stalled' && is === 'True');
  return stalled === undefined ? undefined : `${stalled.reason}: ${stalled.message}`;
}

/** Digests are long; their beginning tells them apart. */
function shortened(message: string): string {
  return message.replaceAll(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, 'sha256:$1…');
}
