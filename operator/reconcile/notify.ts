/**
 * Publishes a decision after a pass: emits an Event, and gives the report puller the model's pods and the instructions
 * for their sidecars.
 *
 * Terms: A sample is a live request of stable that is kept with its answer; the candidate answers it too (a replay). A
 * probe is a golden input that is sent to both revisions. A pair is the service times of the same request on stable and
 * on the candidate. In a shadow step, the candidate answers copies of stable's requests.
 * Owns: which decisions become Events (by api/reasons.ts), how often a model's pods are asked for reports, and the
 * tasks of their sidecars. The candidate's sidecars replay stable's samples and pair service times; stable's sidecars
 * keep samples of live requests.
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

/** Phases in which the pods of a model are asked for reports every few seconds. */
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
/** Phases in which a candidate has traffic or is about to get it. */
const underTraffic: readonly Phase[] = ['Shifting', 'Analyzing', 'Paused'];

/**
 * Emits an Event on the model, unless api/reasons.ts marks the reason as Silent. A decision that fails a candidate is
 * always a Warning.
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

/** Every pod that has an IP address, with the tasks of its sidecar. */
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

/**
 * The instructions for the sidecars of a revision's pods. Each field is a query parameter of reportQuery
 * (api/report.ts), which the sidecar parses.
 */
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

/**
 * The tasks of the sidecars for the gates. Stable's pods keep samples; the candidate's pods replay these samples and
 * send probes.
 */
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

/** `Replay` if replays of samples also measure service times; undefined if spec.rollout.probes.mode is Off. */
function replaysGive({
  model: {
    spec: { rollout = {} },
  },
}: Seen): PairSource | undefined {
  return { ...rolloutDefaults.probes, ...rollout.probes }.mode === 'Off' ? undefined : 'Replay';
}

/** The share of stable's requests that are copied in a shadow step; undefined in any other step. */
function shadowIn(next: RolloutState, { rollout, plan }: Seen): number | undefined {
  if (next.phase !== 'Analyzing' && next.phase !== 'Paused') return undefined;
  const step = stepsOf(next.candidate, { seen: rollout, plan })[next.step];
  return step?.kind === 'shadow' ? step.share : undefined;
}

/**
 * The probes per minute that the gates ask for, and the number of the candidate's ready pods, which divide the probes
 * among them.
 */
function probesOf(candidate: Revision, { rollout, pods }: Seen): ReportAsk['probes'] {
  const perMinute = rollout.gates?.probes;
  return perMinute === undefined
    ? undefined
    : { perMinute, pods: Math.max(1, (pods.get(candidate) ?? []).filter(isReady).length) };
}

/** The share of a percentage. The fallback 0 is never used, because the CRD schema accepts only percentages. */
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
