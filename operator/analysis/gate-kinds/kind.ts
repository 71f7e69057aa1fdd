/**
 * What there is to know of a kind of gate under traffic.
 *
 * Owns:  the types, and how the texts of spec.rollout.gates are read into numbers. The kinds are the files beside this
 *        one; kinds.ts has the table.
 * Throws: AppError FIELD_INVALID with the field's path: a value outside its grammar is the user's mistake.
 */
import { AppError } from '../../../api/errors.ts';
import type { ReasonFrom } from '../../../api/reasons.ts';
import { parsePercent } from '../../../api/units.ts';
import type { Measure } from '../series.ts';

/**
 * atMost: a Pass shows the gate's own limit; where the traffic cannot show that in time, it shows whatever it can up to
 * this (`minDetectable`). Absent: the limit, and nothing less. alpha: of this gate in one step; absent: the plan's
 * alphaPerGate. atLast: what a Pass may show at the very end, where the estimate is good (lastToShow). Absent: no more
 * than atMost.
 */
export type Relative = {
  readonly name: string;
  readonly atMost?: number;
  readonly atLast?: number;
  readonly alpha?: number;
  /** Requests of the candidate before which it does not fail. */ readonly failsFrom?: number;
};

export type GateKind = {
  /** Place among the gates of a plan: the order in which they are shown. */
  readonly order: number;
  /** Whether the candidate is compared with stable; false: it is held against a number of its own. */
  readonly isCompared: boolean;
  /** Latencies, or the share of some requests among others. */
  readonly counts: 'latency' | { readonly events: Measure; readonly trials: Measure };
  /** Whether a candidate without traffic can be judged by it: by pairs, and by answers that are compared. */
  readonly isForShadow: boolean;
  /** Whether a revision can be held to it without another one beside it. */
  readonly isForOne: boolean;
  /** The reason of its Fail. */
  readonly failed: ReasonFrom<'gate'>;
  /** What looks worse in an imagined window, to foresee what it finds; absent: that is not foreseen. */
  readonly imagined?: 'lnSlower' | 'failures';
  /** How an increase is written: "+38 %" or "+2.1 points". Of those that are compared. */
  readonly unit?: '%' | 'points';
  /** "p95 is 52%": the begin of a Fail's sentence. @param much "52%" @param name with its class of requests */
  readonly fails: (much: string, name: string) => string;
  /** What a Fail's sentence counts; absent: the requests of both revisions. */
  readonly counted?: string;
};

/**
 * A part of spec.rollout.gates, which gives gates of one or more kinds.
 *
 * S is the part as written, by the name of its field; G are its gates.
 */
export type GatePart<S, G> = {
  /** Names of its gates where the spec gives them none: a status has one entry a name. */
  readonly names: readonly string[];
  /** Its fields in a file, where it is one object of texts. */
  readonly fields?: { readonly must?: readonly string[]; readonly may?: readonly string[] };
  /** @param taken names that the gates of parts have */
  readonly read: (gates: S, taken: ReadonlySet<string>) => readonly G[];
};

export function detectable(text: string | undefined, limit: number, at: string): { readonly atMost?: number } {
  if (text === undefined) return {};
  const atMost = percentIn(text, at);
  if (atMost < limit)
    throw wrongField(
      at,
      `'${text}' is less than maxIncrease: it is what a Pass may show where maxIncrease cannot be shown, and so ` +
        'is larger',
    );
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
