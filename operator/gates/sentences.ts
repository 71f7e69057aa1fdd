/**
 * Writes the sentences of the gates and formats their numbers.
 *
 * Terms: A gate compares a measure of the candidate with a limit; its verdict is Pass, Fail or Undecided. A pair is the
 * service times of the same request on stable and on the candidate. A window is the time by which a step is judged.
 * Owns: the format of ratios, durations and shares, and one sentence for each verdict.
 * Pure.
 */
import { present } from '../../api/present.ts';
import { counted, plural } from '../../api/text.ts';
import { earlyPromise } from '../analysis/constants.ts';
import { pairedWords } from '../analysis/paired-words.ts';
import { kindOfGate, type TrafficGate } from '../analysis/gate-kinds/kinds.ts';
import type { Both } from '../analysis/series.ts';
import type { ClassEstimate } from '../analysis/classes.ts';
import type { Load } from '../analysis/evidence.ts';
import type { StepWaits } from '../analysis/judge.ts';
import type { GateResult, RequestClass } from '../analysis/verdict.ts';

/** Facts that a sentence needs besides the result of a gate. */
export type Beside = {
  /** Requests of the candidate per minute, in the window. */
  readonly perMinute?: number;
  /** `inMinutes`: when a weaker bound will be enough for a Pass. `toShow`: that bound. */
  readonly later?: { readonly inMinutes: number; readonly toShow: number };
  /** Load of the candidate's pods relative to the load of stable's pods. Absent when the loads are equal. */
  readonly load?: Load;
  /** The class of requests (one tier and size) with the worst estimate, if classes differ. */
  readonly worst?: ClassEstimate;
};
export type Told = GateResult & Beside;

/** Formats a number in the gate's unit: +21%, 48ms, 0.7%. Differences from stable have a sign. */
export function written({ unit, stableRequests }: Pick<GateResult, 'unit' | 'stableRequests'>, value: number): string {
  if (unit === 'ms') return `${rounded(value)}ms`;
  // Round ratios below 10 % to 0.1 %, because finer digits of a latency ratio do not matter. A rate keeps its finer
  // digits.
  const text = `${rounded(unit === 'ratio' && Math.abs(value) < 0.1 ? Math.round(value * 1000) / 10 : value * 100)}%`;
  return stableRequests === undefined || text.startsWith('-') || text === '0%' ? text : `+${text}`;
}

/** Rounds to two significant digits below 10, and to an integer from 10 on. */
function rounded(value: number): string {
  const text = Math.abs(value) < 10 ? String(Number(value.toPrecision(2))) : String(Math.round(value));
  // Print values that round to 0.00 as 0.
  return Math.abs(value) < 0.005 ? '0' : text;
}

/** Formats a number without a sign, for use after "above stable" or "allowed". */
function bare(result: GateResult, value: number): string {
  return written({ unit: result.unit }, value);
}

/** For example "1,180 requests of the candidate and 11,020 of stable". */
export function requestsWords({
  candidateRequests,
  stableRequests,
}: Pick<GateResult, 'candidateRequests' | 'stableRequests'>): string {
  const own = `${plural(candidateRequests, 'request')} of the candidate`;
  return stableRequests === undefined ? own : `${own} and ${counted(stableRequests)} of stable`;
}

/**
 * The sentence for a failed gate, for example: "p95 is 52% above stable (at least 21%, allowed 15%) after 1,180
 * requests of the candidate and 11,020 of stable".
 */
export function failure(gate: TrafficGate, result: Told): string {
  if (result.paired?.verdict === 'Fail')
    return `${pairedWords(gate.name, result.paired)}, allowed ${bare(result, result.limit)}`;
  const { estimate, lower, limit, candidateRequests } = result;
  const atLeast = lower === null ? '' : `at least ${above(result, lower)}, `;
  const numbers = `(${atLeast}allowed ${bare(result, limit)})`;
  const much = estimate === null ? 'more' : bare(result, estimate);
  const { fails, counted: what } = kindOfGate(gate);
  const asked = what === undefined ? requestsWords(result) : plural(candidateRequests, what);
  return `${fails(much, `${gate.name}${classWords(result)}`)} ${numbers} after ${asked}`;
}

/** Formats a bound with one more decimal if it would otherwise look equal to the limit. */
function above(result: GateResult, bound: number): string {
  const text = bare(result, bound);
  if (text !== bare(result, result.limit)) return text;
  return result.unit === 'ms' ? `${bound.toFixed(1)}ms` : `${(bound * 100).toFixed(1)}%`;
}

/**
 * The sentence for an undecided gate, for example "p95 undecided: +4% (-6% to +13%, allowed 15%), about 900 more
 * requests needed".
 */
export function openQuestion(gate: TrafficGate, result: Told): string {
  const said = openLive(gate, result);
  return result.paired === undefined ? said : `${said}; ${pairedWords(gate.name, result.paired)}`;
}

function openLive(gate: TrafficGate, result: Told): string {
  const { estimate, lower, upper, limit, reason } = result;
  const name = `${gate.name}${classWords(result)}`;
  if (reason === 'LoadUnequal' && result.load !== 'Less') return `${name} not judged: ${loadWords(result.load)}`;
  if (reason === 'TooFewRequests' || estimate === null)
    return `${name} undecided: ${requestsWords(result)} are too few`;
  const bound = (value: number | null): string => (value === null ? 'unknown' : written(result, value));
  const bounds = lower === null && upper === null ? 'no bounds yet' : `${bound(lower)} to ${bound(upper)}`;
  const numbers = `${name} undecided: ${written(result, estimate)} (${bounds}, allowed ${bare(result, limit)})`;
  return reason === 'LoadUnequal'
    ? `${numbers}: ${loadWords('Less')}`
    : [`${numbers}, ${needed(result)}`, ...doubts(result)].join('; ');
}

/**
 * Names the class of requests that the gate covers, for example " for interactive requests of up to 512 elements".
 * Returns an empty text if the gate covers all requests.
 */
function classWords({ ofClass }: GateResult): string {
  return ofClass === undefined ? '' : ` for ${classOf(ofClass)}`;
}

/** For example "interactive requests of up to 512 elements". */
export function classOf({ tier, sizeClass }: RequestClass): string {
  return sizeClass === 0
    ? `${tier} requests without input`
    : `${tier} requests of up to ${plural(sizeClass, 'element')}`;
}

/** Says which revision's pods carry more load, and what to do. */
function loadWords(load: Load | undefined): string {
  if (load === 'Less')
    return (
      "the candidate's pods carry less load than stable's at this weight, so this gate can fail but not pass; use a " +
      'step whose weight matches the number of pods'
    );
  if (load === 'More')
    return (
      "the candidate's pods carry more load than stable's at this weight, so this gate can pass but not fail; " +
      "add candidate pods (capacity.maxSurge) or change the step's weight"
    );
  return 'pods of the two revisions carry unequal load at this weight';
}

/** Other possible causes of a difference, and the weaker bound that will be enough later. */
function doubts({ evidence, estimate, limit, later, unit, stableRequests }: Told): readonly string[] {
  const { nodesMayDiffer, candidatePods, stablePods = 0 } = evidence;
  const whose = candidatePods > 1 ? 'stable' : stablePods > 1 ? 'the candidate' : 'each revision';
  const isNodes = nodesMayDiffer !== undefined && estimate !== null && estimate > limit / 2;
  return [
    ...(isNodes
      ? [
          `${whose} has one pod, and the nodes differ: a difference of up to ` +
            `${Math.round(nodesMayDiffer * 100)}% may come from the nodes`,
        ]
      : []),
    ...(later === undefined || later.toShow === Infinity
      ? []
      : [
          `in ${minutesOf(later.inMinutes)} an upper bound of ` +
            `${written({ unit, ...present({ stableRequests }) }, later.toShow)} is enough for a Pass`,
        ]),
  ];
}

function minutesOf(minutes: number): string {
  return `${Math.max(1, Math.round(minutes))} min`;
}

/** For example "about 900 to 2,400 more requests needed, 4 to 11 min at the present rate". */
function needed(result: Told): string {
  if (result.reason === 'OneWindow') return 'the verdict depends on a few outlier seconds; check manually';
  const more = neededWords(result);
  return more === undefined
    ? 'more requests will not decide the gate if the estimate stays the same'
    : `${more.requests} needed${more.time === undefined ? '' : `, ${more.time} at the present rate`}`;
}

/**
 * A forecast as a range of requests and, if the rate is known, of time.
 *
 * @returns undefined when more requests cannot decide the gate
 */
export function neededWords({
  requestsStillNeeded,
  neededRange,
  perMinute,
}: Told): { readonly requests: string; readonly time?: string } | undefined {
  const [low, high] = neededRange ?? [requestsStillNeeded, requestsStillNeeded];
  if (low === null) return undefined;
  const time = (count: number): number => Math.max(1, Math.ceil(count / (perMinute ?? 1)));
  const [few, many] = [forecast(low), high === null ? undefined : forecast(high)];
  const timed = (words: string): { readonly time?: string } => (perMinute === undefined ? {} : { time: words });
  if (many === undefined)
    return { requests: `at least ${plural(few, 'more request')}`, ...timed(`${time(low)} min or longer`) };
  if (many === few) return { requests: `about ${plural(few, 'more request')}`, ...timed(`${time(low)} min`) };
  const [soon, late] = [time(low), time(high ?? low)];
  return {
    requests: `about ${counted(few)} to ${plural(many, 'more request')}`,
    ...timed(soon === late ? `${soon} min` : `${counted(soon)} to ${counted(late)} min`),
  };
}

/** Rounds a forecast to two significant digits. */
export function forecast(count: number): number {
  return count < 100 ? count : Number(count.toPrecision(2));
}

export type StepWords = {
  readonly require: 'NoFail' | 'Pass';
  readonly step: 'Done' | 'Waiting';
  readonly minRequests: number;
  readonly requests: Both<number>;
  readonly alone: boolean;
  /** Describes the pairs of service times; absent when there are no pairs, or no gate uses them. */
  readonly pairs?: string;
  /** True: the candidate has no traffic. */
  readonly shadow?: true;
  /** True: at least one gate has an estimate. */
  readonly measured: boolean;
  /** True: the spec turns every gate off. */
  readonly ungated?: true;
  /** The undecided gate whose estimate exceeds its limit most. */
  readonly worst?: { readonly gate: TrafficGate; readonly result: GateResult };
  /** What a NoFail step waits for (a step that requires only that no gate fails). */
  readonly waits?: StepWaits;
  /** Of a NoFail step: its minimum length, and how long it waits for `earlyPromise` at most, in minutes. */
  readonly minutes?: { readonly least: number; readonly most: number };
};

/** For example "p95 is undecided at +1438% (allowed 15%)". */
function overLimit({ gate, result }: NonNullable<StepWords['worst']>): string {
  const { estimate, limit } = result;
  return (
    `${gate.name} is undecided at ${estimate === null ? 'an unknown value' : written(result, estimate)} (allowed ` +
    `${bare(result, limit)})`
  );
}

/** The counts on which the verdict of the step is based, in words. */
function seenWords({ requests, alone, pairs, shadow }: StepWords): string {
  if (shadow === true) return pairs ?? 'no pairs';
  const live = requestsWords({
    candidateRequests: requests.candidate,
    ...(alone ? {} : { stableRequests: requests.stable }),
  });
  return pairs === undefined ? live : `${live}, with ${pairs}`;
}

function sofarWords({ worst, measured, ungated }: StepWords): string {
  if (ungated === true) return noGates;
  if (worst !== undefined) return overLimit(worst);
  return measured ? 'no gate is beyond its limit so far' : 'no gate has an estimate yet';
}

/** The sentence of a step that is done, or that waits for something other than one particular gate. */
export function progress(words: StepWords): string {
  const { step, shadow } = words;
  const seen = seenWords(words);
  if (step === 'Done') return `${doneWords(words)} after ${seen}`;
  return `${sofarWords(words)}: ${shadow === true ? `${seen}; more pairs are needed` : waitWords(words, seen)}`;
}

/** Part of every message when the spec turns all gates off, so that a reader knows that a promotion had no verdict. */
const noGates = 'spec.rollout.gates turns every gate off; no verdict';

function doneWords({ require, worst, ungated }: StepWords): string {
  if (ungated === true) return noGates;
  if (require === 'Pass') return 'every gate passes';
  return worst === undefined ? 'no gate fails' : `no gate fails; ${overLimit(worst)}`;
}

function waitWords(
  { minRequests, requests, alone, waits, minutes = { least: 0, most: 0 } }: StepWords,
  seen: string,
): string {
  if (waits === 'Promise')
    return `${seen}; waits up to ${minutesOf(minutes.most)} for evidence that ${earlyWords} above stable`;
  const isEnough = (alone ? requests.candidate : Math.min(requests.candidate, requests.stable)) >= minRequests;
  const counts = isEnough ? seen : `${seen}, ${counted(minRequests)}${alone ? '' : ' of each'} are needed`;
  if (waits === 'Time') return `${counts}; this step lasts at least ${minutesOf(minutes.least)}`;
  return isEnough ? `${counts}; requests over at least a minute are needed` : `${counts}, over at least a minute`;
}

const earlyWords =
  `latency is at most ${Math.round(earlyPromise.latency * 100)}% and errors are at most ` +
  `${Math.round(earlyPromise.errors * 100)} percentage points`;
