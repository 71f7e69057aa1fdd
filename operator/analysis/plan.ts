/**
 * Which gates a rollout has, with their numbers, and what each may spend of the chance of a wrong verdict.
 *
 * Owns:   the reading of spec.rollout.gates and steps, the defaults of what is left out, the split of α.
 * Pure:   a plan is data. A value outside its grammar is the user's mistake: AppError FIELD_INVALID, with its path.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import { AppError } from '../../api/errors.ts';
import { parseDurationMs, parsePercent } from '../../api/units.ts';
import { confidences, tuning } from './constants.ts';

/** spec.rollout.gates as written, as far as traffic is judged by it. */
export type GatesSpec = {
  readonly latency?: readonly {
    readonly name: string;
    readonly quantile: string;
    readonly maxIncrease?: string;
    readonly max?: string;
    readonly minDetectable?: string;
    readonly eachClass?: boolean;
  }[];
  readonly errors?: { readonly maxIncrease?: string; readonly max?: string; readonly minDetectable?: string };
  readonly confidence?: Confidence;
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

export type Confidence = keyof typeof confidences;

/**
 * atMost: a Pass shows the gate's own limit; where the traffic cannot show that in time, it shows whatever it can up to
 * this (`minDetectable`). Absent: the limit, and nothing less. alpha: of this gate in one step; absent: the plan's
 * alphaPerGate. atLast: what a Pass may show at the very end, where the estimate is good (lastToShow). Absent: no more
 * than atMost.
 */
type Relative = {
  readonly name: string;
  readonly atMost?: number;
  readonly atLast?: number;
  readonly alpha?: number;
  /** Requests of the candidate before which it does not fail. */ readonly failsFrom?: number;
};

export type TrafficGate =
  | ({
      readonly kind: 'latency-increase';
      readonly quantile: number;
      readonly tolerance: number;
      /** Each class of requests by itself, too (classes.ts). */ readonly eachClass?: true;
    } & Relative)
  | { readonly kind: 'latency-limit'; readonly name: string; readonly quantile: number; readonly maxMs: number }
  | ({ readonly kind: 'errors-increase'; readonly increase: number } & Relative)
  | { readonly kind: 'errors-limit'; readonly name: string; readonly max: number }
  | { readonly kind: 'disagreement-limit'; readonly name: string; readonly max: number };

export type Plan = {
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
export function planOf(gates: GatesSpec = {}, steps: readonly StepSpec[] = defaults.steps): Plan {
  const at = 'spec.rollout.gates';
  const confidence = gates.confidence ?? defaults.confidence;
  if (!Object.hasOwn(confidences, confidence))
    throw wrong(`${at}.confidence`, `'${String(confidence)}' is none of ${Object.keys(confidences).join(', ')}`);
  const alpha =
    gates.alpha === undefined ? confidences[confidence].failAlpha : between(gates.alpha, `${at}.alpha`, [0, 1]);
  const analyzeSteps = Math.max(1, steps.filter((step) => (step.analyze ?? step.shadow) !== undefined).length);
  const parts = [defaultsFor('latency', gates), defaultsFor('errors', gates)].flat();
  const written = [
    ...(gates.latency ?? []).map(latencyGate),
    ...errorGates(gates.errors ?? {}),
    ...qualityGates(gates.quality),
  ];
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

/** Latency, errors, what was chosen for everybody, quality: the order in which they are shown. */
function orderOf({ kind, share }: Shared): number {
  const order = {
    'latency-increase': 0,
    'latency-limit': 0,
    'errors-increase': 1,
    'errors-limit': 2,
    'disagreement-limit': 4,
  }[kind];
  return kind === 'latency-increase' && share !== undefined && share < 0.5 ? 3 : order;
}

function defaultsFor(part: 'latency' | 'errors', gates: GatesSpec): readonly Shared[] {
  return gates[part] === undefined ? defaultGates.filter(({ kind }) => kind === `${part}-increase`) : [];
}

/** @param alpha of one step for all gates by their shares; absent: each gets the same */
function withoutShare({ share, ...gate }: Shared, alpha: number | undefined): TrafficGate {
  return alpha === undefined || share === undefined ? gate : ({ ...gate, alpha: alpha * share } as TrafficGate);
}

/** What each gate may spend on a wrong Fail in a step: "0.0125", or "0.0025 to 0.015" where their parts are unequal. */
export function alphaWords({ gates, alphaPerGate }: Plan): string {
  const each = gates.map((gate) => ('alpha' in gate ? gate.alpha : undefined) ?? alphaPerGate);
  const ends = each.length === 0 ? [alphaPerGate] : [Math.min(...each), Math.max(...each)];
  return [...new Set(ends.map((alpha) => String(Number(alpha.toPrecision(3)))))].join(' to ');
}

/** The plan without what is compared with stable. */
export function limitsOf(plan: Plan): Plan {
  return { ...plan, gates: plan.gates.filter(isLimit) };
}

/** The plan of a candidate without traffic: what pairs and compared answers judge, without any request of its own. */
export function shadowOf(plan: Plan): Plan {
  const gates = plan.gates.filter(({ kind }) => kind === 'latency-increase' || kind === 'disagreement-limit');
  return { ...plan, gates, minRequests: tuning.hardMinRequests, isMinRequestsWritten: true, isShadow: true };
}

/** Whether a gate holds the candidate against a number of its own. */
export function isLimit({ kind }: TrafficGate): boolean {
  return kind === 'latency-limit' || kind === 'errors-limit' || kind === 'disagreement-limit';
}

/** Of gates that the spec gives no name: a status has one entry a name. */
const otherNames: ReadonlySet<string> = new Set(['errors', 'errors-max', 'quality']);

function latencyGate(gate: NonNullable<GatesSpec['latency']>[number], index: number): TrafficGate {
  const at = `spec.rollout.gates.latency[${index}]`;
  const quantile = between(gate.quantile, `${at}.quantile`, [0, 1]);
  const { name } = gate;
  if (otherNames.has(name)) throw wrong(`${at}.name`, `'${name}' is the name of another gate`);
  if ((gate.max === undefined) === (gate.maxIncrease === undefined)) throw wrong(at, 'needs either max or maxIncrease');
  if (gate.max === undefined) {
    const tolerance = percent(gate.maxIncrease ?? '', `${at}.maxIncrease`);
    const each = gate.eachClass === true ? { eachClass: true as const } : {};
    return {
      kind: 'latency-increase',
      name,
      quantile,
      tolerance,
      ...detectable(gate.minDetectable, tolerance, `${at}.minDetectable`),
      ...each,
    };
  }
  if (gate.eachClass !== undefined)
    throw wrong(`${at}.eachClass`, 'goes with maxIncrease: a limit in milliseconds is one of all requests');
  if (gate.minDetectable !== undefined)
    throw wrong(`${at}.minDetectable`, 'goes with maxIncrease: a limit in milliseconds is shown or not');
  const maxMs = parseDurationMs(gate.max);
  if (maxMs === undefined || maxMs <= 0)
    throw wrong(`${at}.max`, `'${gate.max}' is not a duration above 0, such as 60ms`);
  return { kind: 'latency-limit', name, quantile, maxMs };
}

function errorGates({ maxIncrease, max, minDetectable }: NonNullable<GatesSpec['errors']>): TrafficGate[] {
  const at = 'spec.rollout.gates.errors';
  if (minDetectable !== undefined && maxIncrease === undefined)
    throw wrong(
      `${at}.minDetectable`,
      'goes with maxIncrease: it says what a Pass has to show at least where traffic is low',
    );
  const increase = maxIncrease === undefined ? 0 : percent(maxIncrease, `${at}.maxIncrease`);
  return [
    ...(maxIncrease === undefined
      ? []
      : [
          {
            kind: 'errors-increase',
            name: 'errors',
            increase,
            ...detectable(minDetectable, increase, `${at}.minDetectable`),
          } as const,
        ]),
    ...(max === undefined
      ? []
      : [{ kind: 'errors-limit', name: 'errors-max', max: percent(max, `${at}.max`) } as const]),
  ];
}

function detectable(text: string | undefined, limit: number, at: string): { readonly atMost?: number } {
  if (text === undefined) return {};
  const atMost = percent(text, at);
  if (atMost < limit)
    throw wrong(
      at,
      `'${text}' is less than maxIncrease: it is what a Pass may show where maxIncrease cannot be shown, and so ` +
        'is larger',
    );
  return { atMost };
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
  { confidence = 'Standard' }: Plan,
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
  { confidence = 'Standard' }: Plan,
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
  plan: Plan,
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
export function timingOf({ confidence = 'Standard' }: Pick<Plan, 'confidence'>): (typeof confidences)[Confidence] {
  return confidences[confidence];
}

export type Span = {
  /** Whole blocks that are known. */ readonly known: number;
  /** That the step may last. */ readonly maxBlocks: number;
};

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
  if (value === undefined || value <= low || value >= high)
    throw wrong(field, `'${text}' is not a number above ${low} and below ${high}, written as text such as "0.95"`);
  return value;
}

function share(text: string): number | undefined {
  return typeof text === 'string' && /^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$/.test(text) ? Number(text) : undefined;
}

function wrong(field: string, problem: string): AppError {
  return new AppError('FIELD_INVALID', { field, problem });
}
