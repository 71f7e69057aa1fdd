/**
 * What the operator tells others after a pass: an Event for people, the pods to ask for the reports.
 *
 * Owns: which decision is a warning, and how closely a model's pods are followed.
 */
import type { OnnxModel } from '../api/onnxmodel.ts';
import type { EventSink } from './kube/events.ts';
import type { Seen } from './observe.ts';
import type { ReportPuller } from './reports.ts';
import type { Decision, Phase } from './rollout/state.ts';

/** Phases in which the pods of a model are asked every few seconds. */
const closelyFollowed: readonly Phase[] = ['New', 'Preparing', 'Promoting', 'Settling'];

export function announceTo(events: EventSink): (model: OnnxModel, decision: Decision) => void {
  return (model, { next, reason, message }) => {
    const type = next.phase === 'Failed' || warnings.includes(reason) ? 'Warning' : 'Normal';
    events.say({ about: model, type, reason, action: 'Rollout', note: message });
  };
}

/** Reasons that are worth a look even while a rollout may yet go well. */
const warnings: readonly string[] = [
  'ImagePullBackOff', 'InvalidImageName', 'ContainerConfigError', 'OOMKilled', 'CrashLoopBackOff', 'Unschedulable', 'PodsNotCreated', 'PodFailed',
  'DigestMismatch', 'InvalidModel', 'SourceInvalid', 'SourceMissing', 'SourceUnavailable', 'ModelTooLarge', 'PrecisionMissing', 'ProviderUnavailable', 'LoadFailed',
  'WarmupTimeout', 'PrepareFailed', 'NoReadyPods', 'ApplyFailed', 'WeightDrift',
];

export function followWith(puller: ReportPuller): (key: string, seen: Seen | undefined, decision: Decision | undefined) => void {
  return (key, seen, decision) => {
    const pods = seen === undefined ? [] : [...seen.pods.values()].flat();
    const reachable = pods.flatMap(({ metadata: { uid, name }, status }) => (uid === undefined || name === undefined || status?.podIP === undefined ? [] : [{ uid, name, ip: status.podIP }]));
    puller.watch(key, reachable, decision !== undefined && closelyFollowed.includes(decision.next.phase) ? 'rollout' : 'rest');
  };
}
