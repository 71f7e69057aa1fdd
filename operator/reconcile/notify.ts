/**
 * What the operator tells others after a pass: an Event for people, the pods to ask for the reports.
 *
 * Owns: which decision is an Event (by api/reasons.ts), how closely a model's pods are followed, and what their
 *       sidecars are to do: a candidate's ask stable's for their answers and pair service times, stable's keep some of
 *       their requests for it.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import { agreesFrom } from '../../api/golden-metrics.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { eventClassOf, type EventClass } from '../../api/reasons.ts';
import type { PairSource } from '../../api/report.ts';
import { parsePercent } from '../../api/units.ts';
import type { EventSink } from '../../kube/events/events.ts';
import { isReady, type Pod } from '../../kube/kinds.ts';
import type { Seen } from '../see/seen.ts';
import type { ReportAsk } from '../reports/report-client.ts';
import type { ReportPuller, WatchedPod } from '../reports/puller.ts';
import { stepsOf } from '../rollout/decisions.ts';
import type { Decision, Phase, Revision, RolloutState } from '../rollout/state.ts';

/** Phases in which the pods of a model are asked every few seconds. */
const closelyFollowed: readonly Phase[] = [
  'New',
  'Preparing',
  'Shifting',
  'Analyzing',
  'Paused',
  'Aborting',
  'Promoting',
  'Settling',
];
/** Phases in which a candidate has or is about to have traffic. */
const underTraffic: readonly Phase[] = ['Shifting', 'Analyzing', 'Paused'];

/**
 * An Event on the model, unless its reason is one that is only read in the status. What gives a candidate up is always
 * a warning.
 */
export function announceTo(events: EventSink): (model: OnnxModel, decision: Decision) => void {
  return (model, { next, reason, message }) => {
    const kind: EventClass = next.phase === 'Failed' ? 'Warning' : eventClassOf(reason);
    if (kind === 'Silent') return;
    events.say({
      about: model,
      type: kind === 'Warning' ? 'Warning' : 'Normal',
      keep: kind !== 'Normal',
      reason,
      action: 'Rollout',
      note: message,
    });
  };
}

export function followWith(
  puller: ReportPuller,
): (key: string, seen: Seen | undefined, decision: Decision | undefined) => void {
  return (key, seen, decision) => {
    const isClose = decision !== undefined && closelyFollowed.includes(decision.next.phase);
    puller.watch(
      key,
      seen === undefined || decision === undefined ? [] : watchedPods(seen, decision),
      isClose ? 'rollout' : 'rest',
    );
  };
}

/** Every pod with an address, and what its sidecar is to do. */
export function watchedPods(seen: Seen, { next }: Decision): readonly WatchedPod[] {
  return [...seen.pods].flatMap(([revision, pods]) => {
    const ask = askOf(revision, next, seen);
    return pods.flatMap((pod) => {
      const {
        metadata: { uid, name },
        status,
      } = pod;
      return uid === undefined || status?.podIP === undefined
        ? []
        : [
            {
              uid,
              name,
              ip: status.podIP,
              isReady: isReady(pod),
              restarts: restartsOf(pod),
              ...(ask === undefined ? {} : { ask }),
            },
          ];
    });
  });
}

function restartsOf({ status }: Pod): number {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].reduce(
    (sum, { restartCount }) => sum + restartCount,
    0,
  );
}

/** Reads as the sidecar does: api/report.ts, reportQuery. */
function askOf(revision: Revision, next: RolloutState, seen: Seen): WatchedPod['ask'] {
  if (!('candidate' in next) || next.stable === null) return undefined;
  const tokenOf = (one: Revision): string | undefined => seen.records.get(one)?.token;
  const token = tokenOf(revision);
  const tasks = tasksOf(next, seen);
  if (revision === next.stable)
    return tasks.sample === undefined ? undefined : { sample: tasks.sample, ...present({ token }) };
  if (revision !== next.candidate) return undefined;
  const { agreement, pairs, probes } = tasks;
  return {
    peers: peersIn(seen, next.stable),
    ...present({ agreement, pairs, probes, token, peersToken: tokenOf(next.stable) }),
  };
}

type Tasks = Pick<ReportAsk, 'sample' | 'agreement' | 'pairs' | 'probes'>;

/** What both revisions are to do for the gates: stable's pods keep samples, the candidate's replay and probe. */
function tasksOf(next: RolloutState & { readonly candidate: Revision }, seen: Seen): Tasks {
  if (!underTraffic.includes(next.phase)) return {};
  const { gates: { quality } = {} } = seen.model.spec.rollout ?? {};
  const shadow = shadowIn(next, seen);
  const probes = probesOf(next.candidate, seen);
  const samples =
    quality === undefined
      ? {}
      : {
          sample: shareOf(quality.sampleRate),
          agreement: `${quality.metric}:${agreesFrom(quality.metric)}`,
          ...present({ pairs: replaysGive(seen) }),
        };
  return { ...samples, ...(shadow === undefined ? {} : { sample: shadow, pairs: 'Shadow' }), ...present({ probes }) };
}

/** Whether replays for quality give service times, too. */
function replaysGive({
  model: {
    spec: { rollout = {} },
  },
}: Seen): PairSource | undefined {
  return { ...rolloutDefaults.probes, ...rollout.probes }.mode === 'Off' ? undefined : 'Replay';
}

/** The share that a shadow step asks for; undefined in any other. */
function shadowIn(next: RolloutState, { rollout, plan }: Seen): number | undefined {
  if (next.phase !== 'Analyzing' && next.phase !== 'Paused') return undefined;
  const step = stepsOf(next.candidate, { seen: rollout, plan })[next.step];
  return step?.kind === 'shadow' ? step.share : undefined;
}

/** What the gates ask for, over the pods that are there to ask. */
function probesOf(candidate: Revision, { rollout, pods }: Seen): ReportAsk['probes'] {
  const perMinute = rollout.gates?.probes;
  return perMinute === undefined
    ? undefined
    : { perMinute, pods: Math.max(1, (pods.get(candidate) ?? []).filter(isReady).length) };
}

/** The CRD has let only percentages in. */
function shareOf(percentage: string): number {
  return parsePercent(percentage) ?? 0;
}

const maxPeers = 16;

function peersIn(seen: Seen, stable: Revision): readonly string[] {
  const ready = (seen.pods.get(stable) ?? [])
    .filter(isReady)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return ready.flatMap(({ status }) => (status?.podIP === undefined ? [] : [status.podIP])).slice(0, maxPeers);
}
