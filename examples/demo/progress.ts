/**
 * The sentences that the demo prints about a model. They come from the status only.
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';

/** Conditions that are printed when they become true. The other conditions are left out, because they repeat Ready. */
const milestones = ['ArtifactReady', 'ModelLoaded', 'ProvidersActive', 'RouteReady'];

/** The sentences in a status. The caller prints a sentence when the previous status did not contain it. */
export function sentencesOf({ status }: OnnxModel): readonly string[] {
  const conditions = status?.conditions ?? [];
  const ready = conditions.find(({ type }) => type === 'Ready');
  const made = conditions.filter(({ type, status: is }) => milestones.includes(type) && is === 'True');
  return [
    ...made.map(({ type, message }) => `${type}: ${shortened(message)}`),
    ...(ready === undefined ? [] : [`${status?.phase ?? ''}: ${shortened(ready.message)}`]),
  ];
}

/** True when the model serves the current spec, and every pod of an earlier revision is gone. */
export function isSettled({ metadata, status }: OnnxModel): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  return (
    status?.observedGeneration === metadata.generation &&
    ready?.observedGeneration === metadata.generation &&
    ready.status === 'True' &&
    status.phase === 'Stable'
  );
}

/** Why the model cannot become ready without a change of the spec; undefined while it can. */
export function whyStalled({ metadata, status }: OnnxModel): string | undefined {
  if (status?.observedGeneration !== metadata.generation) return undefined;
  const stalled = status.conditions?.find(({ type, status: is }) => type === 'Stalled' && is === 'True');
  return stalled === undefined ? undefined : `${stalled.reason}: ${stalled.message}`;
}

/** A message with shortened digests. The beginning of a digest identifies it. */
function shortened(message: string): string {
  return message.replaceAll(/sha256:([0-9a-f]{12})[0-9a-f]{52}/g, 'sha256:$1…');
}
