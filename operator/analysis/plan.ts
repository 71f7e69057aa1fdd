/**
 * Which gates a rollout has, with their numbers, and what each may spend of the chance of a wrong verdict.
 *
 * Owns:   the reading of spec.rollout.gates and steps, the defaults of what is left out, the split of α.
 * Pure:   a plan is data. A value outside its grammar is the user's mistake: AppError FIELD_INVALID, with its path.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import { AppError } from '../../api/errors.ts';
import { parseDurationMs, parsePercent } from '../../api/units.ts';

/** spec.rollout.gates as written, as far as traffic is judged by it. */
export type GatesSpec = {
  readonly latency?: readonly { readonly name: string; readonly quantile: string; readonly maxIncrease?: string; readonly max?: string }[];
  readonly errors?: { readonly maxIncrease?: string; readonly max?: string };
  readonly quality?: { readonly min: string };
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

export type TrafficGate =
  | { readonly kind: 'latency-increase'; readonly name: string; readonly quantile: number; readonly tolerance: number }
  | { readonly kind: 'latency-limit'; readonly name: string; readonly quantile: number; readonly maxMs: number }
  | { readonly kind: 'errors-increase'; readonly name: string; readonly increase: number }
  | { readonly kind: 'errors-limit'; readonly name: string; readonly max: number }
  | { readonly kind: 'disagreement-limit'; readonly name: string; readonly max: number };

export type Plan = {
  readonly gates: readonly TrafficGate[];
  /** For each gate in each analyze step: α / (gates × steps). */
  readonly alphaPerGate: number;
  /** Of each revision, before a step may end; holds back Pass, never Fail. */
  readonly minRequests: number;
  readonly analyzeSteps: number;
};

/** What holds where the spec says nothing. */
const defaults = {
  alpha: 0.05,
  minRequests: 200,
  latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }],
  errors: { maxIncrease: '0.5%' },
  steps: rolloutDefaults.steps,
} as const satisfies GatesSpec | Record<string, unknown>;

/**
 * The plan of a rollout.
 *
 * Without latency gates p95 may rise by 15 %, without error gates the error rate by half a percent; agreement is
 * judged only when asked for, because it needs requests to be sampled. α is split evenly over gates and analyze
 * steps (Bonferroni): the chance of any wrong Fail in the whole rollout is at most α for independent requests,
 * whatever the gates have to do with each other.
 */
export function planOf(gates: GatesSpec = {}, steps: readonly StepSpec[] = defaults.steps): Plan {
  const at = 'spec.rollout.gates';
  const traffic = [...(gates.latency ?? defaults.latency).map(latencyGate), ...errorGates(gates.errors ?? defaults.errors), ...qualityGates(gates.quality)];
  const analyzeSteps = Math.max(1, steps.filter((step) => (step.analyze ?? step.shadow) !== undefined).length);
  const alpha = gates.alpha === undefined ? defaults.alpha : between(gates.alpha, `${at}.alpha`, [0, 1]);
  return { gates: traffic, alphaPerGate: alpha / Math.max(1, traffic.length * analyzeSteps), minRequests: gates.minRequests ?? defaults.minRequests, analyzeSteps };
}

/** The plan without what is compared with stable. */
export function limitsOf(plan: Plan): Plan {
  return { ...plan, gates: plan.gates.filter(isLimit) };
}

/** The plan of a candidate without traffic: what pairs and compared answers judge, without any request of its own. */
export function shadowOf(plan: Plan): Plan {
  return { ...plan, gates: plan.gates.filter(({ kind }) => kind === 'latency-increase' || kind === 'disagreement-limit'), minRequests: 0 };
}

/** Whether a gate holds the candidate against a number of its own. */
export function isLimit({ kind }: TrafficGate): boolean {
  return kind === 'latency-limit' || kind === 'errors-limit' || kind === 'disagreement-limit';
}

function latencyGate(gate: NonNullable<GatesSpec['latency']>[number], index: number): TrafficGate {
  const at = `spec.rollout.gates.latency[${index}]`;
  const quantile = between(gate.quantile, `${at}.quantile`, [0, 1]);
  const { name } = gate;
  if ((gate.max === undefined) === (gate.maxIncrease === undefined)) throw wrong(at, 'needs either max or maxIncrease');
  if (gate.max === undefined) return { kind: 'latency-increase', name, quantile, tolerance: percent(gate.maxIncrease ?? '', `${at}.maxIncrease`) };
  const maxMs = parseDurationMs(gate.max);
  if (maxMs === undefined || maxMs <= 0) throw wrong(`${at}.max`, `'${gate.max}' is not a duration above 0, such as 60ms`);
  return { kind: 'latency-limit', name, quantile, maxMs };
}

function errorGates({ maxIncrease, max }: NonNullable<GatesSpec['errors']>): TrafficGate[] {
  const at = 'spec.rollout.gates.errors';
  return [
    ...(maxIncrease === undefined ? [] : [{ kind: 'errors-increase', name: 'errors', increase: percent(maxIncrease, `${at}.maxIncrease`) } as const]),
    ...(max === undefined ? [] : [{ kind: 'errors-limit', name: 'errors-max', max: percent(max, `${at}.max`) } as const]),
  ];
}

function qualityGates(quality: GatesSpec['quality']): TrafficGate[] {
  if (quality === undefined) return [];
  const min = share(quality.min);
  if (min === undefined) throw wrong('spec.rollout.gates.quality.min', `'${quality.min}' is not a number from 0 to 1`);
  return [{ kind: 'disagreement-limit', name: 'quality', max: Number((1 - min).toFixed(9)) }];
}

/** "15%" → 0.15 */
function percent(text: string, field: string): number {
  const share = typeof text === 'string' ? parsePercent(text) : undefined;
  if (share === undefined) throw wrong(field, `'${text}' is not a percentage, such as 15%`);
  return share;
}

function between(text: string, field: string, [low, high]: readonly [number, number]): number {
  const value = share(text);
  if (value === undefined || value <= low || value >= high) throw wrong(field, `'${text}' is not a number above ${low} and below ${high}, written as text such as "0.95"`);
  return value;
}

function share(text: string): number | undefined {
  return typeof text === 'string' && /^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$/.test(text) ? Number(text) : undefined;
}

function wrong(field: string, problem: string): AppError {
  return new AppError('FIELD_INVALID', { field, problem });
}
