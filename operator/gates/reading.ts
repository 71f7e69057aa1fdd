/**
 * Evaluates a rollout's window and returns a reading for the decision and a sentence for the status.
 *
 * Terms: A window is the blocks by which a step of the rollout is judged; a look is one evaluation of it. A reading
 * says whether the step may end and what failed. In a shadow step, the candidate answers copies of requests and has no
 * traffic.
 * Owns: which gates apply, the reason of a failed gate, and which gate the sentence describes. Usually all gates apply.
 * When the candidate has all the traffic, or stable is over its limits, only absolute limits apply. In a shadow step,
 * only gates that can judge without live traffic apply.
 * Pure: the result depends on the counts only, not on restarts, on the order of reports or on the number of looks.
 */
import { present } from '../../api/present.ts';
import type { ReasonFrom } from '../../api/reasons.ts';
import { blockSeconds } from '../../api/report.ts';
import { worstClass } from '../analysis/classes.ts';
import { loadIn, usualBlocks, type Evidence } from '../analysis/evidence.ts';
import { noFailBlocks, noFailWaitsFor } from '../analysis/judge.ts';
import { evidenceOf, lookAt, numbersAt, type Known } from '../analysis/look.ts';
import { isCompared, isLatencyCompared, kindOfGate, type TrafficGate } from '../analysis/gate-kinds/kinds.ts';
import { laterToShow, limitsOf, shadowOf, type GatePlan } from '../analysis/plan.ts';
import { ownLatencies, type OwnLatency } from '../analysis/own-latency.ts';
import { pairsOf } from '../analysis/paired-words.ts';
import { extentOf, type Cell, type Both } from '../analysis/series.ts';
import type { Decided, GateResult } from '../analysis/verdict.ts';
import type { Block, GateReading } from '../rollout/state.ts';
import { failure, openQuestion, progress, type Beside, type StepWords } from './sentences.ts';

const blocksAMinute = 60 / blockSeconds;

export type WindowAsked = {
  readonly window: Block;
  readonly plan: GatePlan;
  /** What a judged step requires: NoFail (no gate fails) or Pass (every gate passes). NoFail for every other step. */
  readonly require: 'NoFail' | 'Pass';
  /** True: the candidate has no traffic, so only gates that can judge without traffic apply. */
  readonly shadow?: true;
};

/** The verdicts of one evaluation, without the numbers that are expensive to compute. */
export type Finding = {
  /** The plan that was evaluated. */
  readonly plan: GatePlan;
  readonly evidence: Evidence;
  readonly decided: readonly Decided[];
  readonly step: GateReading['step'];
  readonly failed?: ReasonFrom<'gate'>;
  readonly absolute: GateReading['absolute'];
  readonly stableSick?: string;
  /** Index of the gate that the sentence describes. If absent, the sentence describes the step and not one gate. */
  readonly speaks?: number;
};

/** Evaluates the window once. */
export function find({ plan, require, shadow }: WindowAsked, known: Known): Finding {
  const evidence = evidenceOf(known);
  const judged = known.alone === true ? limitsOf(plan) : shadow === true ? shadowOf(plan) : plan;
  const { decided, step } = lookAt(judged, evidence, require);
  const sick = stableSick(plan, known);
  const absolute = absoluteOf(judged, evidence, decided);
  const speaks = speakerOf(judged, { decided, step, absolute, isSick: sick !== undefined, require });
  const failing = speaks === undefined || decided[speaks]?.verdict !== 'Fail' ? undefined : judged.gates[speaks];
  return {
    plan: judged,
    evidence,
    decided,
    step,
    absolute,
    ...(failing === undefined ? {} : { failed: kindOfGate(failing).failed }),
    ...(sick === undefined ? {} : { stableSick: sick }),
    ...(speaks === undefined ? {} : { speaks }),
  };
}

/** Whether the plan has gates that can judge one revision alone. */
function hasOwnLimits(plan: GatePlan): boolean {
  return plan.gates.some((gate) => kindOfGate(gate).isForOne);
}

/**
 * Judges the candidate only by the gates with absolute limits. None: the plan has no such gate. Fail: one of them
 * fails. Pass: all of them pass with the plan's minimum of requests. Otherwise Waiting.
 */
function absoluteOf(plan: GatePlan, evidence: Evidence, decided: readonly Decided[]): GateReading['absolute'] {
  if (!hasOwnLimits(plan)) return 'None';
  const limits = decided.filter((_, i) => isLimitAt(plan, i));
  if (limits.some(({ verdict }) => verdict === 'Fail')) return 'Fail';
  const { step } = lookAt(limitsOf(plan), { ...evidence, alone: true }, 'Pass');
  return step === 'Done' ? 'Pass' : 'Waiting';
}

function isLimitAt(plan: GatePlan, index: number): boolean {
  const gate = plan.gates[index];
  return gate !== undefined && !isCompared(gate);
}

/** Judges stable by the absolute limits, as if it were the candidate; undefined when stable is within these limits. */
function stableSick(plan: GatePlan, known: Known): string | undefined {
  if (!hasOwnLimits(plan) || known.alone === true) return undefined;
  const own = plan.gates.filter((gate) => kindOfGate(gate).isForOne);
  const limits = { ...plan, gates: own };
  const { cells, pods } = known;
  const swapped = { candidate: cells.stable, stable: cells.candidate };
  const evidence = evidenceOf({
    ...known,
    cells: swapped,
    ...(pods === undefined ? {} : { pods: { candidate: pods.stable, stable: pods.candidate } }),
  });
  const { decided } = lookAt(limits, evidence, 'NoFail');
  const at = decided.findIndex(({ verdict }) => verdict === 'Fail');
  const gate = own[at];
  if (gate === undefined) return undefined;
  const [result] = numbersAt({ ...limits, gates: [gate] }, evidence);
  return result === undefined ? gate.name : failure(gate, result).replace('of the candidate', 'of stable');
}

type Speaking = Pick<Finding, 'decided' | 'step' | 'absolute'> & {
  readonly isSick: boolean;
  readonly require: 'NoFail' | 'Pass';
};

/**
 * The index of the gate that the sentence describes: the first failed gate. If stable is over its limits and an
 * absolute limit failed, it is the first failed absolute limit. If no gate has failed, it is the first undecided gate,
 * but only in a step that requires Pass.
 */
function speakerOf(plan: GatePlan, { decided, step, absolute, isSick, require }: Speaking): number | undefined {
  const first = (wanted: (one: Decided, at: number) => boolean): number | undefined => {
    const at = decided.findIndex(wanted);
    return at < 0 ? undefined : at;
  };
  if (isSick && absolute === 'Fail') return first(({ verdict }, at) => verdict === 'Fail' && isLimitAt(plan, at));
  if (step === 'Fail') return first(({ verdict }) => verdict === 'Fail');
  return step === 'Waiting' && require === 'Pass' ? first(({ verdict }) => verdict === 'Undecided') : undefined;
}

/** A gate's result with additional facts and, for a latency gate, the latencies of each revision. */
export type ShownResult = GateResult & Beside & { readonly own: Partial<Both<OwnLatency>> };

/** Computes the numbers of a finding. This costs more than the finding itself. */
export function shownResultsOf({ plan, evidence }: Finding): readonly ShownResult[] {
  return numbersAt(plan, evidence).map((result, i) => {
    const gate = plan.gates[i];
    return {
      ...result,
      ...(gate === undefined ? {} : besideOf(gate, result, plan, evidence)),
      own: gate === undefined ? {} : ownLatencies(gate, evidence, result),
    };
  });
}

function besideOf(gate: TrafficGate, result: GateResult, plan: GatePlan, evidence: Evidence): Beside {
  const { limit, candidateRequests, estimate } = result;
  const { window } = evidence;
  const known = extentOf(window).known - 1;
  const { maxBlocks = usualBlocks } = evidence;
  const later = 'atMost' in gate ? laterToShow(limit, gate, plan, { known, maxBlocks, estimate }) : undefined;
  return present({
    perMinute: known > 0 && candidateRequests > 0 ? (candidateRequests * blocksAMinute) / known : undefined,
    later:
      later === undefined ? undefined : { inMinutes: (later.atBlock - known) / blocksAMinute, toShow: later.toShow },
    load: isLatencyCompared(gate) && !evidence.loadIsEqual ? loadIn(evidence) : undefined,
    worst: isLatencyCompared(gate) ? worstClass(window, gate.quantile) : undefined,
  });
}

type Results = readonly (GateResult & Beside)[];

/** One sentence with the numbers. @param results from `shownResultsOf` for the same finding */
export function sentenceOf(asked: WindowAsked, finding: Finding, results: Results): string {
  const { plan, evidence, step } = finding;
  const waits =
    asked.require === 'NoFail' && step === 'Waiting' ? noFailWaitsFor(plan, evidence, finding.decided) : undefined;
  const speaks = speakerAt(finding, waits);
  const [gate, result] = speaks === undefined ? [] : [plan.gates[speaks], results[speaks]];
  if (gate !== undefined && result !== undefined)
    return result.verdict === 'Fail' ? failure(gate, result) : openQuestion(gate, result);
  return progress(stepWords(asked, finding, results, waits));
}

/**
 * The index of the gate that the sentence describes. If the step waits for a gate that could not have failed yet, the
 * sentence describes that gate and says what to do.
 */
function speakerAt({ speaks, decided }: Finding, waits: StepWords['waits']): number | undefined {
  const blind = waits === 'Blind' ? decided.findIndex(({ early }) => early === 'Blind') : -1;
  return blind < 0 ? speaks : blind;
}

function stepWords(
  { require, shadow }: WindowAsked,
  { plan, evidence, step }: Finding,
  results: Results,
  waits: StepWords['waits'],
): StepWords {
  const { window, alone = false, maxBlocks = usualBlocks } = evidence;
  const paired = results.find((each) => each.paired !== undefined)?.paired;
  return {
    require,
    step: step === 'Done' ? 'Done' : 'Waiting',
    minRequests: plan.minRequests,
    alone,
    requests: { candidate: total(window.candidate), stable: total(window.stable) },
    measured: results.some(({ estimate, paired: pairs }) => estimate !== null || (pairs?.estimate ?? null) !== null),
    ...present({
      ungated: plan.gates.length === 0 ? (true as const) : undefined,
      shadow,
      pairs: paired === undefined ? undefined : pairsOf(paired),
      worst: worstOf(plan, results),
      waits,
      minutes: minutesAsked(plan, maxBlocks, alone),
    }),
  };
}

function minutesAsked(plan: GatePlan, maxBlocks: number, alone: boolean): StepWords['minutes'] {
  const { least, most } = noFailBlocks(plan, maxBlocks, alone);
  return { least: least / blocksAMinute, most: most / blocksAMinute };
}

/**
 * The undecided gate whose estimate exceeds its limit most. The message names it, so that no reader assumes that this
 * gate has passed.
 */
function worstOf(
  plan: GatePlan,
  results: readonly (GateResult & Beside)[],
): { readonly gate: TrafficGate; readonly result: GateResult & Beside } | undefined {
  const beyond = ({ estimate, limit }: GateResult): number => (estimate ?? 0) / limit;
  const open = results.flatMap((result, at) => {
    const gate = plan.gates[at];
    return gate === undefined ||
      result.verdict !== 'Undecided' ||
      result.estimate === null ||
      result.estimate <= result.limit
      ? []
      : [{ gate, result }];
  });
  return open.toSorted((one, other) => beyond(other.result) - beyond(one.result))[0];
}

function total(cells: readonly Cell[]): number {
  return cells.reduce((sum, cell) => sum + cell.requests, 0);
}

export function readingFrom(
  { window, shadow }: WindowAsked,
  finding: Finding,
  told: { readonly message: string; readonly silent: GateReading['silent']; readonly shown?: string | undefined },
): GateReading {
  const { step, failed, absolute, stableSick: sick, evidence } = finding;
  const idle = shadow !== true && total(evidence.window.candidate) === 0;
  const { message, silent, shown } = told;
  return {
    window,
    step,
    absolute,
    message,
    silent,
    ...present({ shown }),
    ...(idle ? { idle } : {}),
    ...(failed === undefined ? {} : { failed }),
    ...(sick === undefined ? {} : { stableSick: sick }),
  };
}
