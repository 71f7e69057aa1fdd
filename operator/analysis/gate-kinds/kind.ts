/**
 * The properties of a kind of gate under traffic.
 *
 * Terms: A gate compares a measure of the candidate with a limit; its verdict is Pass, Fail or Undecided. α is the
 * accepted probability of a wrong verdict. The last stage is the last part of a step's time, in which a Pass may show
 * its weakest bound. A promise is the forecast, made before a step, of its duration and of the increase that it would
 * find. A pair is the service times of the same request on stable and on the candidate.
 * Owns: the types, and the parsers for texts of spec.rollout.gates. Each kind is a file of this folder, and the table
 * of kinds is in kinds.ts.
 * Throws: AppError FIELD_INVALID with the field's path when a value does not match its grammar.
 */
import { AppError } from '../../../api/errors.ts';
import type { ReasonFrom } from '../../../api/reasons.ts';
import { parsePercent } from '../../../api/units.ts';
import type { Measure } from '../series.ts';

/** The fields of a gate with a limit relative to stable. */
export type Relative = {
  readonly name: string;
  /**
   * The weakest bound that a Pass may show when the traffic cannot show the gate's own limit in time (`minDetectable`).
   * If absent, a Pass always shows the limit.
   */
  readonly atMost?: number;
  /**
   * The bound that a Pass may show in the last stage if the estimate is good (plan.ts, lastToShow). If absent, the last
   * stage is like the stage before it.
   */
  readonly atLast?: number;
  /** The α of this gate in one step. If absent, the gate uses the plan's alphaPerGate. */
  readonly alpha?: number;
  /** The gate does not fail while the candidate has fewer requests than this. */
  readonly failsFrom?: number;
};

export type GateKind = {
  /** Sort key of the gate in a plan. Lower numbers come first. */
  readonly order: number;
  /** True: the gate compares the candidate with stable. False: the gate has an absolute limit. */
  readonly isCompared: boolean;
  /** What the gate measures: latencies, or the share of events among trials, such as failures among requests. */
  readonly counts: 'latency' | { readonly events: Measure; readonly trials: Measure };
  /**
   * Whether the gate can judge a candidate without traffic, from pairs or from its answers to requests that stable has
   * answered.
   */
  readonly isForShadow: boolean;
  /** Whether the gate can judge a revision when there is no second revision. */
  readonly isForOne: boolean;
  /** The reason of the condition that reports a Fail of the gate. */
  readonly failed: ReasonFrom<'gate'>;
  /**
   * The quantity of the candidate that promise.ts makes worse in imagined traffic, to compute which increase the gate
   * would find. Absent if the gate has no promise.
   */
  readonly imagined?: 'lnSlower' | 'failures';
  /** The unit of an increase: "+38 %" or "+2.1 points". Only for gates that compare. */
  readonly unit?: '%' | 'points';
  /**
   * The start of a sentence about a Fail: "p95 is 52% above stable".
   * @param much "52%" @param name the gate's name, with its class of requests
   */
  readonly fails: (much: string, name: string) => string;
  /**
   * The noun for what the gate counts, in the sentence about a Fail. If absent, the sentence gives the requests of both
   * revisions.
   */
  readonly counted?: string;
};

/**
 * A part of spec.rollout.gates, from which gates of one or more kinds are made.
 *
 * S is an object type that contains the part's field of spec.rollout.gates, as written in the spec. G is the type of
 * the gates that are made from the part.
 */
export type GatePart<S, G> = {
  /** Fixed, unique names of the part's gates: keys of the status's list of gates. Empty if the spec names them. */
  readonly names: readonly string[];
  /** If the part is one object whose values are texts: its required fields (`must`) and its optional fields (`may`). */
  readonly fields?: { readonly must?: readonly string[]; readonly may?: readonly string[] };
  /** @param taken the `names` of all parts, which a gate that is named in the spec must not use */
  readonly read: (gates: S, taken: ReadonlySet<string>) => readonly G[];
};

export function detectable(text: string | undefined, limit: number, at: string): { readonly atMost?: number } {
  if (text === undefined) return {};
  const atMost = percentIn(text, at);
  if (atMost < limit)
    throw wrongField(at, `'${text}' must be at least maxIncrease: it replaces maxIncrease when traffic is low`);
  return { atMost };
}

/** "15%" → 0.15 */
export function percentIn(text: string, field: string): number {
  const shareIn = typeof text === 'string' ? parsePercent(text) : undefined;
  if (shareIn === undefined) throw wrongField(field, `'${text}' is not a percentage, such as 15%`);
  return shareIn;
}

export function numberBetween(text: string, field: string, [low, high]: readonly [number, number]): number {
  const value = shareIn(text);
  if (value === undefined || value <= low || value >= high)
    throw wrongField(field, `'${text}' is not a number above ${low} and below ${high}, written as text such as "0.95"`);
  return value;
}

export function shareIn(text: string): number | undefined {
  return typeof text === 'string' && /^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$/.test(text) ? Number(text) : undefined;
}

export function wrongField(field: string, problem: string): AppError {
  return new AppError('FIELD_INVALID', { field, problem });
}
