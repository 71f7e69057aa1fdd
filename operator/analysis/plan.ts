/**
 * The gates of a rollout with their limits, and the α of each gate.
 *
 * Terms: A gate is a limit on latency, errors or answers, with the verdict Pass, Fail or Undecided. α is the accepted
 * probability of a wrong verdict. An analyze step of a rollout is judged under live traffic, a shadow step without. A
 * NoFail step ends after a set time if no gate failed; a Pass step ends when every gate passes. A step's time has
 * stages (constants.ts, confidences): from each stage on, a Pass may show a weaker bound. A block is 20 seconds.
 * Owns: the parsing of spec.rollout.gates and steps, the defaults, the split of α.
 * Pure: a plan is data. An invalid value throws AppError FIELD_INVALID with its path.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import { confidences, tuning } from './constants.ts';
import { numberBetween, wrongField, type Relative } from './gate-kinds/kind.ts';
import { gatesIn, kindOfGate, type PartName, type PartsSpec, type TrafficGate } from './gate-kinds/kinds.ts';

export type Confidence = keyof typeof confidences;

/** The fields of spec.rollout.gates about traffic, as the user wrote them. */
export type GatesSpec = PartsSpec & {
  readonly confidence?: Confidence;
  readonly alpha?: string;
  readonly minRequests?: number;
};
/** The fields of spec.rollout.steps that the plan needs, as the user wrote them. */
export type StepSpec = {
  readonly weight?: number;
  readonly analyze?: { readonly require: 'NoFail' | 'Pass' };
  readonly shadow?: { readonly require: 'NoFail' | 'Pass' };
  readonly pause?: object;
};

export type GatePlan = {
  readonly gates: readonly TrafficGate[];
  /** The α of each gate in each analyze or shadow step: α / (gates × steps). */
  readonly alphaPerGate: number;
  /** If absent, Standard is used. */
  readonly confidence?: Confidence;
  /**
   * Whether the spec sets minRequests. Only the default of minRequests is lowered when the traffic is too low for it.
   */
  readonly isMinRequestsWritten?: boolean;
  /** The requests that each revision needs before a step may end without a Fail. A Fail does not wait for them. */
  readonly minRequests: number;
  readonly analyzeSteps: number;
  /**
   * True for a candidate without traffic: minRequests then counts pairs or compared answers, whichever are more. A pair
   * is the service times of the same request on stable and on the candidate.
   */
  readonly isShadow?: true;
};

/** The values of absent fields. */
const defaults = {
  minRequests: 200,
  confidence: 'Standard',
  steps: rolloutDefaults.steps,
} as const;

/**
 * The gates of a rollout whose spec sets no gates, with each gate's share of α.
 *
 * p95 finds most of the regressions that users notice, so it has the largest share. p99 concerns one request in a
 * hundred, so its gate allows a larger increase, and a Pass does not wait for this gate. p99 does not fail before 2,000
 * requests, because the first requests of each kind are slow while the pod compiles code for them. The values of atLast
 * were found by simulations with queues, retry storms and lasting noise.
 */
// prettier-ignore
const defaultGates = [
  { kind: 'latency-increase', name: 'p95', quantile: 0.95, tolerance: 0.15, atMost: 1, atLast: 3, share: 0.6 },
  { kind: 'errors-increase', name: 'errors', increase: 0.01, atMost: 0.05, atLast: 0.1, share: 0.3 },
  { kind: 'latency-increase', name: 'p99', quantile: 0.99,
    tolerance: 0.3, atMost: Infinity, failsFrom: 2000, share: 0.1 },
] as const;

/**
 * The plan of a rollout.
 *
 * If the spec has no latency gates, p95 may rise by 15 % and p99 by 30 %. If it has no error gates, the error rate may
 * rise by one percentage point. Whether the candidate's answers agree with stable's is judged only if the spec has a
 * quality gate: the comparison needs samples, which are live requests kept with stable's answers. α is split over the
 * gates and over the analyze and shadow steps (Bonferroni). The chance of any wrong Fail in the whole rollout is at
 * most α for independent requests, even if the gates are correlated.
 */
export function planOf(gates: GatesSpec = {}, steps: readonly StepSpec[] = defaults.steps): GatePlan {
  const at = 'spec.rollout.gates';
  const confidence = gates.confidence ?? defaults.confidence;
  if (!Object.hasOwn(confidences, confidence))
    throw wrongField(
      `${at}.confidence`,
      `'${String(confidence)}' is not one of ${Object.keys(confidences).join(', ')}`,
    );
  const alpha =
    gates.alpha === undefined ? confidences[confidence].failAlpha : numberBetween(gates.alpha, `${at}.alpha`, [0, 1]);
  const analyzeSteps = Math.max(1, steps.filter((step) => (step.analyze ?? step.shadow) !== undefined).length);
  const parts = [defaultsFor('latency', gates), defaultsFor('errors', gates)].flat();
  const written = gatesIn(gates);
  const traffic: readonly Shared[] = [...parts, ...written].toSorted((a, b) => orderOf(a) - orderOf(b));
  const isDefault = written.length === 0 && parts.length === defaultGates.length;
  return {
    gates: traffic.map((gate) => withoutShare(gate, isDefault ? alpha / analyzeSteps : undefined)),
    alphaPerGate: alpha / Math.max(1, traffic.length * analyzeSteps),
    minRequests: gates.minRequests ?? defaults.minRequests,
    analyzeSteps,
    confidence,
    isMinRequestsWritten: gates.minRequests !== undefined,
  };
}

type Shared = TrafficGate & { readonly share?: number };

/**
 * The position of a gate in the plan. A default latency gate with less than half of α (p99) comes after all gates
 * except the quality gate.
 */
function orderOf(gate: Shared): number {
  const { order, counts } = kindOfGate(gate);
  return counts === 'latency' && gate.share !== undefined && gate.share < 0.5 ? 3 : order;
}

function defaultsFor(part: PartName, gates: GatesSpec): readonly Shared[] {
  return gates[part] === undefined ? defaultGates.filter(({ kind }) => kind === `${part}-increase`) : [];
}

/**
 * @param alpha the α of one step, of which the gate gets its share; if undefined, the gate uses the plan's alphaPerGate
 */
function withoutShare({ share, ...gate }: Shared, alpha: number | undefined): TrafficGate {
  return alpha === undefined || share === undefined ? gate : ({ ...gate, alpha: alpha * share } as TrafficGate);
}

/** The α of a wrong Fail of each gate in a step: "0.0125", or "0.0025 to 0.015" if the gates have different shares. */
export function alphaWords({ gates, alphaPerGate }: GatePlan): string {
  const each = gates.map((gate) => ('alpha' in gate ? gate.alpha : undefined) ?? alphaPerGate);
  const ends = each.length === 0 ? [alphaPerGate] : [Math.min(...each), Math.max(...each)];
  return [...new Set(ends.map((alpha) => String(Number(alpha.toPrecision(3)))))].join(' to ');
}

/** The plan without the gates that compare with stable. */
export function limitsOf(plan: GatePlan): GatePlan {
  return { ...plan, gates: plan.gates.filter((gate) => !kindOfGate(gate).isCompared) };
}

/**
 * The plan of a candidate without traffic: only the gates that can be judged by pairs (GatePlan, isShadow) and by
 * compared answers.
 */
export function shadowOf(plan: GatePlan): GatePlan {
  const gates = plan.gates.filter((gate) => kindOfGate(gate).isForShadow);
  return { ...plan, gates, minRequests: tuning.hardMinRequests, isMinRequestsWritten: true, isShadow: true };
}

/**
 * The bound that a Pass must show after `known` blocks of a step that may last `maxBlocks`. At first it is the gate's
 * own limit, from the first stage on the geometric mean of the limit and `atMost`, and from the second stage on
 * `atMost`. If `atMost` is Infinity, the result is Infinity from the start.
 *
 * The bounds are valid at all times at once, so the bound that a Pass must show may depend on how long the step has
 * lasted. A Pass that shows "nothing worse than X" is as valid as if X had been chosen before the step.
 * @returns in the unit of the limit; Infinity if a Pass need not show anything
 */
export function toShow(
  limit: number,
  atMost: number | undefined,
  { confidence = 'Standard' }: GatePlan,
  { known, maxBlocks }: Span,
): number {
  const {
    relaxes,
    stages: [first, second],
  } = confidences[confidence];
  // A gate with an infinite `atMost` can only fail a candidate, so it never delays a good one.
  if (atMost === Infinity) return Infinity;
  if (atMost === undefined || !relaxes || known < first * maxBlocks) return limit;
  return known < second * maxBlocks ? Math.sqrt(limit * atMost) : atMost;
}

/** In the last stage of a step, a Pass may show the bound `toShow` if the gate's estimate is at most `looks`. */
export type Last = { readonly toShow: number; readonly looks: number };

/** The weaker bounds of a gate that a Pass may show instead of the limit. */
export type Wider = Pick<Relative, 'atMost' | 'atLast'>;

/**
 * The last stage, for default gates. If the noise between minutes is too large to show `atMost`, it is enough to show
 * `atLast` when the estimate is good: at most the geometric mean of the limit and `atMost`. The condition on the
 * estimate only removes Passes, so the bound stays valid.
 * @returns undefined before the last stage, and for a gate or a confidence without a last stage
 */
export function lastToShow(
  limit: number,
  { atMost, atLast }: Wider,
  { confidence = 'Standard' }: GatePlan,
  { known, maxBlocks }: Span,
): Last | undefined {
  const {
    relaxes,
    stages: [, , third],
  } = confidences[confidence];
  if (!relaxes || atMost === undefined || atLast === undefined || known < third * maxBlocks) return undefined;
  return { toShow: atLast, looks: Math.sqrt(limit * atMost) };
}

/**
 * When a Pass may show a weaker bound than now, and which bound; undefined if the bound will not change.
 * @param estimate the gate's estimate, null if there is none; the last stage requires a good estimate
 */
export function laterToShow(
  limit: number,
  wider: Wider,
  plan: GatePlan,
  { known, maxBlocks, estimate }: Span & { readonly estimate: number | null },
): { readonly atBlock: number; readonly toShow: number } | undefined {
  const at = (block: number): number => {
    const span = { known: block, maxBlocks };
    const last = lastToShow(limit, wider, plan, span);
    return last !== undefined && (estimate ?? Infinity) <= last.looks
      ? last.toShow
      : toShow(limit, wider.atMost, plan, span);
  };
  const now = at(known);
  const stages = confidences[plan.confidence ?? 'Standard'].stages.map((share) => Math.ceil(share * maxBlocks));
  const atBlock = stages.find((block) => at(block) > now);
  return atBlock === undefined ? undefined : { atBlock, toShow: at(atBlock) };
}

/** The constants of a plan's confidence. */
export function gateTimingOf({
  confidence = 'Standard',
}: Pick<GatePlan, 'confidence'>): (typeof confidences)[Confidence] {
  return confidences[confidence];
}

export type Span = {
  /** Number of known blocks that are complete. */ readonly known: number;
  /** Number of blocks that the step may last. */ readonly maxBlocks: number;
};
