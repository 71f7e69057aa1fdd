/**
 * What the gates say, in a person's words and numbers.
 *
 * Owns:  how a ratio, a duration and a share are written, and one sentence for every verdict.
 * Pure.
 */
import { plural } from '../../api/text.ts';
import { pairedWords } from '../analysis/paired-words.ts';
import type { TrafficGate } from '../analysis/plan.ts';
import type { Pair } from '../analysis/series.ts';
import type { GateResult } from '../analysis/verdict.ts';

/** A number in the gate's unit, as people write it: +21%, 48ms, 0.7%. With a sign where it is a difference from stable. */
export function written({ unit, stableRequests }: Pick<GateResult, 'unit' | 'stableRequests'>, value: number): string {
  if (unit === 'ms') return `${rounded(value)}ms`;
  // A tenth of a percent is nothing for a latency, much for a rate.
  const text = `${rounded(unit === 'ratio' && Math.abs(value) < 0.1 ? Math.round(value * 1000) / 10 : value * 100)}%`;
  return stableRequests === undefined || text.startsWith('-') || text === '0%' ? text : `+${text}`;
}

/** Two digits below 10, none behind the point from there on. */
function rounded(value: number): string {
  const text = Math.abs(value) < 10 ? String(Number(value.toPrecision(2))) : String(Math.round(value));
  // What is nothing to two digits behind the point is nothing.
  return Math.abs(value) < 0.005 ? '0' : text;
}

/** Without a sign: what comes after "above stable" or "allowed". */
function bare(result: GateResult, value: number): string {
  return written({ unit: result.unit }, value);
}

export function counted(count: number): string {
  return count.toLocaleString('en-US');
}

/** "1,180 requests of the candidate and 11,020 of stable" */
export function requestsOf({ candidateRequests, stableRequests }: Pick<GateResult, 'candidateRequests' | 'stableRequests'>): string {
  const own = `${plural(candidateRequests, 'request')} of the candidate`;
  return stableRequests === undefined ? own : `${own} and ${counted(stableRequests)} of stable`;
}

/** A failed gate: "p95 is 52% above stable (at least 21%, allowed 15%) after 1,180 requests of the candidate and 11,020 of stable". */
export function failure(gate: TrafficGate, result: GateResult): string {
  if (result.paired?.verdict === 'Fail') return `${pairedWords(gate.name, result.paired)}, allowed ${bare(result, result.limit)}`;
  const { estimate, lower, limit, candidateRequests } = result;
  const atLeast = lower === null ? '' : `at least ${bare(result, lower)}, `;
  const numbers = `(${atLeast}allowed ${bare(result, limit)})`;
  const much = estimate === null ? 'more' : bare(result, estimate);
  if (gate.kind === 'disagreement-limit') return `${much} of the answers that were compared disagree with stable's ${numbers} after ${plural(candidateRequests, 'comparison')}`;
  return `${subjectOf(gate)} ${much}${isRelative(gate) ? ' above stable' : ''} ${numbers} after ${requestsOf(result)}`;
}

function subjectOf(gate: TrafficGate): string {
  return gate.kind === 'errors-increase' || gate.kind === 'errors-limit' ? 'the error rate is' : `${gate.name} is`;
}

function isRelative({ kind }: TrafficGate): boolean {
  return kind === 'latency-increase' || kind === 'errors-increase';
}

/** An undecided gate: "p95 undecided: +4% (-6% to +13%, allowed 15%), about 900 more requests needed". */
export function openQuestion(gate: TrafficGate, result: GateResult): string {
  const said = openLive(gate, result);
  return result.paired === undefined ? said : `${said}; ${pairedWords(gate.name, result.paired)}`;
}

function openLive(gate: TrafficGate, result: GateResult): string {
  const { estimate, lower, upper, limit, reason } = result;
  if (reason === 'LoadUnequal') return `${gate.name} not judged: pods of the two revisions carry unequal load at this weight`;
  if (reason === 'TooFewRequests' || estimate === null) return `${gate.name} undecided: ${requestsOf(result)} are too few`;
  const bound = (value: number | null): string => (value === null ? 'unknown' : written(result, value));
  const bounds = lower === null && upper === null ? 'no bounds yet' : `${bound(lower)} to ${bound(upper)}`;
  return `${gate.name} undecided: ${written(result, estimate)} (${bounds}, allowed ${bare(result, limit)}), ${needed(result)}`;
}

function needed({ reason, requestsStillNeeded }: GateResult): string {
  if (reason === 'OneWindow') return 'the verdict depends on a few outlier seconds; check manually';
  if (requestsStillNeeded === null) return 'no number of requests would decide it as it is';
  return `about ${plural(forecast(requestsStillNeeded), 'more request')} needed`;
}

/** A forecast is known to two digits. */
export function forecast(count: number): number {
  return count < 100 ? count : Number(count.toPrecision(2));
}

export type StepWords = {
  readonly require: 'NoFail' | 'Pass';
  readonly step: 'Done' | 'Waiting';
  readonly minRequests: number;
  readonly requests: Pair<number>;
  readonly alone: boolean;
  /** Pairs of service times, in words; absent: nobody asks for any. */
  readonly pairs?: string;
  /** The candidate has no traffic. */
  readonly shadow?: true;
  /** Some gate has an estimate. */
  readonly measured: boolean;
  /** The undecided gate whose estimate is furthest beyond its limit. */
  readonly worst?: { readonly gate: TrafficGate; readonly result: GateResult };
};

/** "p95 is at +1438% (allowed 15%), which is not decided" */
function overLimit({ gate, result }: NonNullable<StepWords['worst']>): string {
  const { estimate, limit } = result;
  return `${gate.name} is at ${estimate === null ? 'an unknown value' : written(result, estimate)} (allowed ${bare(result, limit)}), which is not decided`;
}

/** What a verdict on the step rests on. */
function seenWords({ requests, alone, pairs, shadow }: StepWords): string {
  if (shadow === true) return pairs ?? 'no pairs';
  const live = requestsOf({ candidateRequests: requests.candidate, ...(alone ? {} : { stableRequests: requests.stable }) });
  return pairs === undefined ? live : `${live}, with ${pairs}`;
}

function sofarWords({ worst, measured }: StepWords): string {
  if (worst !== undefined) return `${overLimit(worst)} yet`;
  return measured ? 'no gate is beyond its limit so far' : 'no gate has an estimate yet';
}

/** What holds a step up whose gates are not to blame, or that nothing does. */
export function progress(words: StepWords): string {
  const { require, step, minRequests, requests, alone, worst } = words;
  const seen = seenWords(words);
  if (step === 'Done') return `${require === 'Pass' ? 'every gate passes' : worst === undefined ? 'no gate fails' : `no gate fails, ${overLimit(worst)},`} after ${seen}`;
  const sofar = sofarWords(words);
  if (words.shadow === true) return `${sofar}: ${seen}; more pairs are needed`;
  const fewest = alone ? requests.candidate : Math.min(requests.candidate, requests.stable);
  if (fewest >= minRequests) return `${sofar}: ${seen}; requests over at least a minute are needed`;
  return `${sofar}: ${seen}, ${counted(minRequests)}${alone ? '' : ' of each'} are needed, over a minute`;
}
