/**
 * Formats the gates' verdicts and numbers for the status.
 *
 * Terms: A gate compares a measure of the candidate with a limit; its verdict is Pass, Fail or Undecided. The promise
 * is the prediction, made when a step begins, of its duration and of what it can show.
 * Owns: `rollout.gates`, `alpha`, `judgedAt` and `promise`, and the gates of a history line. gatekeeper.ts decides when
 * they are refreshed. The last values stay until the phase is Stable or a new rollout begins.
 * Pure.
 */
import { toApiTime } from '../../api/conditions.ts';
import type { OnnxModelStatus } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { plural } from '../../api/text.ts';
import { memoised } from '../../lib/memoised.ts';
import { increaseOf, pairedWords } from '../analysis/paired-words.ts';
import type { OwnLatency } from '../analysis/own-latency.ts';
import type { Shown } from './gatekeeper.ts';
import type { ShownResult } from './reading.ts';
import { classOf, forecast, neededWords, written } from './sentences.ts';
import type { RolloutState } from '../rollout/state.ts';

type RolloutStatus = NonNullable<OnnxModelStatus['rollout']>;
export type GateStatus = NonNullable<RolloutStatus['gates']>[number];
export type GatesShown = Pick<RolloutStatus, 'gates' | 'alpha' | 'judgedAt' | 'promise'>;

/** The gates of the status. They are formatted once, because every reconciliation reads them and few renew them. */
const gatesIn = memoised((shown: Shown) => shown.results.map(gateStatus));

/** @param shown the current verdicts; if undefined, the verdicts of the previous status are kept */
export function gatesShown(
  next: RolloutState,
  shown: Shown | undefined,
  previous: OnnxModelStatus | undefined,
): GatesShown {
  if (next.phase === 'New' || next.phase === 'Preparing' || next.phase === 'Stable') return {};
  if (shown !== undefined)
    return {
      ...promiseOf(next, shown),
      alpha: shown.alpha,
      gates: gatesIn(shown),
      judgedAt: toApiTime(shown.atMs),
    };
  const { alpha, gates, judgedAt } = previous?.rollout ?? {};
  return { ...promiseOf(next, previous?.rollout), ...present({ alpha, gates, judgedAt }) };
}

/** The prediction for the current step. Only a step in phase Analyzing has one. */
function promiseOf(
  { phase }: RolloutState,
  { promise }: Pick<GatesShown, 'promise'> = {},
): Pick<GatesShown, 'promise'> {
  return phase === 'Analyzing' ? present({ promise }) : {};
}

/** The verdicts of a rollout that ends in this pass; absent if the rollout had not reached a step. */
export function gatesOfOutcome(
  before: RolloutState,
  shown: Shown | undefined,
  previous: OnnxModelStatus | undefined,
): Pick<RolloutStatus, 'gates'> {
  if (!('step' in before)) return {};
  return present({ gates: shown === undefined ? previous?.rollout?.gates : gatesIn(shown) });
}

/** Log fields of a rollout under traffic: step, weights and a summary of each gate. */
export function stepPlaceOf({ rollout }: OnnxModelStatus): Readonly<Record<string, unknown>> {
  if (rollout?.step === undefined) return {};
  const { step, desiredWeight, setWeight, gates } = rollout;
  return present({ step, desiredWeight, setWeight, gates: gates?.map(inShort) });
}

function inShort({
  name,
  verdict,
  estimate = '?',
  lower = '?',
  upper = '?',
  limit = '?',
  candidateRequests = 0,
}: GateStatus): string {
  return (
    `${name} ${verdict}: ${estimate} (${lower} to ${upper}, limit ${limit}), ` +
    `${plural(candidateRequests, 'request')}`
  );
}

export function gateStatus(result: ShownResult): GateStatus {
  const {
    gate,
    own,
    verdict,
    reason,
    candidateRequests,
    stableRequests,
    estimate,
    lower,
    upper,
    limit,
    requestsStillNeeded,
  } = result;
  const number = (value: number | null): string | undefined => (value === null ? undefined : written(result, value));
  return {
    name: gate,
    verdict,
    candidateRequests,
    ...present({
      reason,
      stableRequests,
      estimate: number(estimate),
      lower: number(lower),
      upper: number(upper),
      requestsStillNeeded: requestsStillNeeded === null ? undefined : forecast(requestsStillNeeded),
    }),
    limit: written(result, limit),
    ...besideStatus(result),
    ...present({
      stableLatency: latencyStatus(own.stable),
      candidateLatency: latencyStatus(own.candidate),
      paired: pairedStatus(result),
    }),
  };
}

function pairedStatus({ gate, paired }: ShownResult): GateStatus['paired'] {
  if (paired === undefined) return undefined;
  const {
    verdict,
    counts: { Probe: probes, Replay: replays, Shadow: shadowed },
    estimate,
    lower,
    upper,
  } = paired;
  const increase = (value: number | null): string | undefined => (value === null ? undefined : increaseOf(value));
  return {
    verdict,
    ...present({
      probes,
      replays,
      shadowed,
      estimate: increase(estimate),
      lower: increase(lower),
      upper: increase(upper),
      message: pairedWords(gate, paired),
    }),
  };
}

function besideStatus(result: ShownResult): Pick<GateStatus, 'stillNeeded' | 'toShow' | 'ofClass' | 'worstClass'> {
  const { verdict, reason, ofClass, worst, stableRequests } = result;
  const more =
    verdict === 'Undecided' && reason !== 'OneWindow' && reason !== 'LoadUnequal' ? neededWords(result) : undefined;
  return present({
    stillNeeded:
      more === undefined ? undefined : [more.requests, more.time].filter((part) => part !== undefined).join(', '),
    toShow: toShowStatus(result),
    ofClass: ofClass === undefined ? undefined : classOf(ofClass),
    worstClass:
      worst === undefined
        ? undefined
        : `${classOf(worst)}: ${written({ unit: 'ratio', ...present({ stableRequests }) }, worst.estimate)}`,
  });
}

/**
 * The bound that a Pass of the gate shows, if it is larger than the limit. Undefined for a Fail, and if a Pass shows
 * the limit itself. "nothing" for a gate whose Pass states no bound (it can only fail a candidate), unless its upper
 * bound is within the limit.
 */
function toShowStatus(result: ShownResult): string | undefined {
  const { verdict, limit, upper, toShow } = result;
  if (verdict === 'Fail' || toShow <= limit) return undefined;
  if (toShow !== Infinity) return written(result, toShow);
  return upper === null || upper > limit ? 'nothing' : undefined;
}

function latencyStatus(own: OwnLatency | undefined): GateStatus['stableLatency'] {
  if (own === undefined) return undefined;
  const ms = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : written({ unit: 'ms' }, value);
  return present({ estimate: ms(own.estimate), lower: ms(own.lower), upper: ms(own.upper) });
}
