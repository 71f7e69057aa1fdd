/**
 * Which gates a rollout has, with their numbers, and what each may spend of the chance of a wrong verdict.
 *
 * Owns:   the reading of spec.rollout.gates and steps, the defaults of what is left out, the split of α.
 * Pure:   a plan is data. A value outside its grammar is the user's mistake: AppError FIELD_INVALID, with its path.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import { confidences, tuning } from './constants.ts';
import { numberBetween, wrongField, type Relative } from './gate-kinds/kind.ts';
import { gatesIn, kindOfGate, type PartName, type PartsSpec, type TrafficGate } from './gate-kinds/kinds.ts';

export type Confidence = keyof typeof confidences;

/** spec.rollout.gates as written, as far as traffic is judged by it. */
export type GatesSpec = PartsSpec & {
  readonly confidence?: Confidence;
  readonly alpha?: string;
  readonly minRequests?: number;
};
/** spec.rollout.steps as written, as far as it matters here. */
export type StepSpec = {
  readonly weight?: number;
  readonly analyze?: { readonly require: 'NoFail' | 'Pass' };
  readonly shadow?: { readonly require: 'NoFail' | 'Pass' };
  readonly pause?: object;
};

export type GatePlan = {
  readonly gates: readonly TrafficGate[];
  /** For each gate in each analyze step: α / (gates × steps). */
  readonly alphaPerGate: number;
  /** Standard where absent. */
  readonly confidence?: Confidence;
  /** Whether the spec itself gives minRequests: what nobody wrote gives way where traffic is too low for it. */
  readonly isMinRequestsWritten?: boolean;
  /** Of each revision, before a step may end; holds back Pass, never Fail. */
  readonly minRequests: number;
  readonly analyzeSteps: number;
  /** Of a candidate without traffic: minRequests are of what it answered beside stable. */
  readonly isShadow?: true;
};

/** What holds where the spec says nothing. */
const defaults = {
  minRequests: 200,
  confidence: 'Standard',
  steps: rolloutDefaults.steps,
} as const;

/**
 * The gates of a rollout whose spec has none, with the share of α that each gets.
 *
 * p95 is what people feel; p99 finds what one request in a hundred feels, is allowed more, and a Pass need not wait for
 * it. It fails nobody before 2,000 requests: the first requests of each kind, which compile what they need, are slow
 * and are few. What atLast is was measured in queues, storms and noise that lasts. α is not shared evenly: p95 finds
 * most, and needs it most.
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
 * Without latency gates p95 may rise by 15 % and p99 by 30 %, without error gates the error rate by one percent;
 * agreement is judged only when asked for, because it needs requests to be sampled. α is split over gates and analyze
 * steps (Bonferroni): the chance of any wrong Fail in the whole rollout is at most α for independent requests, whatever
 * the gates have to do with each other.
 */
export function planOf(gates: GatesSpec = {}, steps: readonly StepSpec[] = defaults.steps): GatePlan {
  const at = 'spec.rollout.gates';
  const confidence = gates.confidence ?? defaults.confidence;
  if (!Object.hasOwn(confidences, confidence))
    throw wrongField(`${at}.confidence`, `'${String(confidence)}' is none of ${Object.keys(confidences).join(', ')}`);
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

/** What was chosen for everybody, and gets less than half of α, comes after what people ask for: errors, and limits. */
function orderOf(gate: Shared): number {
  const { order, counts } = kindOfGate(gate);
  return counts === 'latency' && gate.share !== undefined && gate.share < 0.5 ? 3 : order;
}

function defaultsFor(part: PartName, gates: GatesSpec): readonly Shared[] {
  return gates[part] === undefined ? defaultGates.filter(({ kind }) => kind === `${part}-increase`) : [];
}

/** @param alpha of one step for all gates by their shares; absent: each gets the same */
function withoutShare({ share, ...gate }: Shared, alpha: number | undefined): TrafficGate {
  return alpha === undefined || share === undefined ? gate : ({ ...gate, alpha: alpha * share } as TrafficGate);
}

/** What each gate may spend on a wrong Fail in a step: "0.0125", or "0.0025 to 0.015" where their parts are unequal. */
export function alphaWords({ gates, alphaPerGate }: GatePlan): string {
  const each = gates.map((gate) => ('alpha' in gate ? gate.alpha : undefined) ?? alphaPerGate);
  const ends = each.length === 0 ? [alphaPerGate] : [Math.min(...each), Math.max(...each)];
  return [...new Set(ends.map((alpha) => String(Number(alpha.toPrecision(3)))))].join(' to ');
}

/** The plan without what is compared with stable. */
export function limitsOf(plan: GatePlan): GatePlan {
  return { ...plan, gates: plan.gates.filter((gate) => !kindOfGate(gate).isCompared) };
}

/** The plan of a candidate without traffic: what pairs and compared answers judge, without any request of its own. */
export function shadowOf(plan: GatePlan): GatePlan {
  const gates = plan.gates.filter((gate) => kindOfGate(gate).isForShadow);
  return { ...plan, gates, minRequests: tuning.hardMinRequests, isMinRequestsWritten: true, isShadow: true };
}

/**
 * What a Pass has to show after so many blocks of a step that may last `maxBlocks`: the gate's own limit; from the
 * first stage on the geometric mean of that and `atMost`; from the second stage on `atMost`. Where anything will do,
 * that from the start.
 *
 * The bounds hold at all times at once, so that what is shown may be chosen by how long one has waited: "nothing worse
 * than X" is as true as if X had been chosen before.
 * @returns in the unit of the limit; Infinity where a Pass need show nothing
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
  // Such a gate is there to fail: it never holds a good candidate back.
  if (atMost === Infinity) return Infinity;
  if (atMost === undefined || !relaxes || known < first * maxBlocks) return limit;
  return known < second * maxBlocks ? Math.sqrt(limit * atMost) : atMost;
}

/** The last stage of a Pass: what it may show then, of a gate whose estimate is no more than `looks`. */
export type Last = { readonly toShow: number; readonly looks: number };

/** What a gate lets a Pass show beside its limit. */
export type Wider = Pick<Relative, 'atMost' | 'atLast'>;

/**
 * The last stage, of gates that nobody wrote: where minutes differ too much for `atMost` to be shown, `atLast` will do
 * if the candidate looks good: its estimate is within the geometric mean of the limit and `atMost`. The condition only
 * takes Passes away, so that the bound holds as before.
 * @returns undefined before it, and where the gate or the confidence has none
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
 * When a Pass may show less than it has to now, and what then; undefined where it never may.
 * @param estimate of the gate, null where there is none: the last stage is for one that looks good
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
  /** Whole blocks that are known. */ readonly known: number;
  /** That the step may last. */ readonly maxBlocks: number;
};
