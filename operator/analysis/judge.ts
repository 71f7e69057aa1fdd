/**
 * The judge: computes a verdict for every gate and for the step from a plan and the evidence of a window.
 *
 * Terms: A window is the blocks (of 20 seconds) by which a step of the rollout is judged; a look is one evaluation of
 * it. A gate's verdict is Pass, Fail or Undecided. A NoFail step ends after a set time if no gate failed; a Pass step
 * ends when every gate passes. The early promise is the bound on the candidate's increase that a NoFail step tries to
 * show before it ends. A pair is the service times of the same request on stable and on the candidate.
 * Owns: the rule by which the gates' verdicts end a step. The counts that each gate uses are chosen in questions.ts.
 * Pure: a function of the evidence. The verdict does not depend on restarts, on the leader, on the number of looks, or
 * on late, repeated or reordered reports.
 * Rule: a Fail ends its window. The caller stores the Fail, and later looks do not change it.
 */
import { present } from '../../api/present.ts';
import { tuning } from './constants.ts';
import { totalOf, usualBlocks, windowFactsOf, type Evidence, type WindowFacts } from './evidence.ts';
import { stillNeeded } from './forecast.ts';
import { combined } from './paired.ts';
import { isLatencyCompared, type TrafficGate } from './gate-kinds/kinds.ts';
import { gateTimingOf, type GatePlan, type Span } from './plan.ts';
import { judgementOf, pairedResultOf, type Judgement } from './questions.ts';
import { comparedOf, requestsOf, cellsInside, extentOf } from './series.ts';
import type { Decided, GateResult, PairedResult } from './verdict.ts';

export type StepVerdict = 'Done' | 'Fail' | 'Waiting';

/** Every gate's verdict with its numbers, in the plan's order. */
export function judge(plan: GatePlan, evidence: Evidence): readonly GateResult[] {
  const facts = windowFactsOf(plan, evidence);
  return plan.gates.map((gate) => {
    const judgement = judgementOf(gate, facts);
    const paired = pairedResultOf(gate, facts);
    const decided = together(decisionOf(gate, facts, judgement), paired);
    const { requestsStillNeeded, neededRange, ...numbers } = judgement.numbers();
    return {
      gate: gate.name,
      ...decided,
      ...numbers,
      ...stillNeeded(decided, { requestsStillNeeded, neededRange }),
      ...present({ paired }),
    };
  });
}

/** Every gate's verdict without its numbers. It equals the verdict of `judge` and is cheaper. */
export function verdicts(plan: GatePlan, evidence: Evidence): readonly Decided[] {
  const facts = windowFactsOf(plan, evidence);
  return plan.gates.map((gate) =>
    together(decisionOf(gate, facts, judgementOf(gate, facts)), pairedResultOf(gate, facts)),
  );
}

function together(live: Decided, paired: PairedResult | undefined): Decided {
  return paired === undefined ? live : combined(live, paired);
}

/**
 * Whether a step may end.
 *
 * If any gate fails, the step fails at once. A NoFail step is done when three conditions hold: the step has lasted long
 * enough to see a slow candidate (constants.ts, confidences), every gate has enough evidence to be able to fail, and
 * every gate has shown its early promise or cannot show it in time. A Pass step is done when every gate passes. In both
 * kinds of step, each revision needs at least minRequests requests. The default of minRequests is lowered when the
 * traffic is too low for it.
 */
export function stepVerdict(
  plan: GatePlan,
  evidence: Seen,
  gates: readonly Decided[],
  require: 'NoFail' | 'Pass',
): StepVerdict {
  if (gates.some((gate) => gate.verdict === 'Fail')) return 'Fail';
  const { window, alone = false, maxBlocks = usualBlocks } = evidence;
  const requests = requestsSeen(plan, evidence);
  // The last block is not complete yet.
  const span = { known: extentOf(window).known - 1, maxBlocks };
  if (span.known < tuning.minBlocks) return 'Waiting';
  if (require === 'Pass')
    return requests >= requestsFor(plan, span) && gates.every((gate) => gate.verdict === 'Pass') ? 'Done' : 'Waiting';
  return earlyStepWaits(plan, { ...span, requests, alone }, gates) === undefined ? 'Done' : 'Waiting';
}

/**
 * What a NoFail step waits for. Time: its minimum length. Blind: a gate that could not have failed yet, even for a bad
 * candidate. Requests: minRequests. Promise: its early promise.
 */
export type StepWaits = 'Time' | 'Blind' | 'Requests' | 'Promise';

/** @param gates gates that have not failed @returns undefined when the step does not wait */
export function noFailWaitsFor(plan: GatePlan, evidence: Seen, gates: readonly Decided[]): StepWaits | undefined {
  const { window, alone = false, maxBlocks = usualBlocks } = evidence;
  return earlyStepWaits(
    plan,
    { known: extentOf(window).known - 1, maxBlocks, requests: requestsSeen(plan, evidence), alone },
    gates,
  );
}

type Seen = Pick<Evidence, 'window' | 'alone' | 'maxBlocks' | 'paired'>;

/**
 * The number of requests of the revision that has fewer; only the candidate's requests while the candidate is alone. In
 * a shadow step (the candidate only answers copies of requests), it is the number of pairs or the number of compared
 * answers, whichever is larger.
 */
function requestsSeen({ isShadow }: GatePlan, { window, alone = false, paired }: Seen): number {
  const { candidate, stable } = cellsInside(window);
  if (isShadow === true) return Math.max(paired?.series.total.total ?? 0, totalOf(candidate, comparedOf));
  return Math.min(totalOf(candidate, requestsOf), alone ? Infinity : totalOf(stable, requestsOf));
}

/**
 * The number of requests of each revision that a Pass step needs. From the second stage of the step's time on
 * (constants.ts, confidences), `hardMinRequests` are enough, unless the spec sets minRequests or the confidence does
 * not allow weaker bounds (`relaxes`).
 */
function requestsFor(plan: GatePlan, span: Span): number {
  const {
    stages: [, second],
    relaxes,
  } = gateTimingOf(plan);
  return plan.isMinRequestsWritten === false && relaxes && span.known >= second * span.maxBlocks
    ? Math.min(plan.minRequests, tuning.hardMinRequests)
    : plan.minRequests;
}

/** Limits a number of blocks to `minBlocks` less than the step may last, so that a short step can end. */
function within(blocks: number, maxBlocks: number): number {
  return Math.min(blocks, Math.max(tuning.minBlocks, maxBlocks - tuning.minBlocks));
}

/**
 * The length of a NoFail step in blocks. The step lasts at least `least` blocks, and waits for its early promise
 * (constants.ts, earlyPromise) until block `most` at the latest.
 * @param alone whether the candidate has all the traffic
 */
export function noFailBlocks(
  plan: GatePlan,
  maxBlocks: number = usualBlocks,
  alone = false,
): { readonly least: number; readonly most: number } {
  const { noFailBlocks: beside, failBlocks, earlyBlocks } = gateTimingOf(plan);
  return {
    least: within(alone ? failBlocks + tuning.minBlocks : beside, maxBlocks),
    most: within(earlyBlocks, maxBlocks),
  };
}

function earlyStepWaits(
  plan: GatePlan,
  { known, maxBlocks, requests, alone }: Span & { readonly requests: number; readonly alone: boolean },
  gates: readonly Decided[],
): StepWaits | undefined {
  const { least, most } = noFailBlocks(plan, maxBlocks, alone);
  if (known < least) return 'Time';
  if (gates.some(({ early }) => early === 'Blind')) return 'Blind';
  // True if the step would not get `promiseRequests` in time at the present rate. The step then does not wait for its
  // early promise, and the default of minRequests is lowered.
  const isTooSlow = (requests * within(tuning.promiseBlocks, maxBlocks)) / known < tuning.promiseRequests;
  const isOver = known >= most || isTooSlow;
  const givesWay = plan.isMinRequestsWritten === false && isOver;
  if (requests < (givesWay ? Math.min(tuning.fewestRequests, plan.minRequests) : plan.minRequests)) return 'Requests';
  return isOver || gates.every(({ early, verdict }) => early === 'Shown' || verdict === 'Pass') ? undefined : 'Promise';
}

/**
 * A server's latency grows with its load. Therefore a candidate with less load per pod may Fail but not Pass, and a
 * candidate with more load may Pass but not Fail.
 */
function decisionOf(gate: TrafficGate, { load }: WindowFacts, judgement: Judgement): Decided {
  if (!isLatencyCompared(gate) || load === 'Equal') return judgement.decide();
  if (load === 'Unknown') return { verdict: 'Undecided', reason: 'LoadUnequal', early: 'Blind' };
  const decided = judgement.decide();
  if (load === 'Less')
    return decided.verdict === 'Fail' ? decided : { ...decided, verdict: 'Undecided', reason: 'LoadUnequal' };
  return decided.verdict === 'Pass' ? decided : { verdict: 'Undecided', reason: 'LoadUnequal', early: 'Blind' };
}
