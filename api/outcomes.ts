/**
 * The outcomes of failed requests, for counters, metrics, reports and gates. Pure.
 *
 * Owns: the kinds under which failed requests are counted, and the fault of each kind. A kind is a kind of error
 *       (error-kinds.ts), or `clientDeadline` or `clientBody`, which count failures that clients cause. Gates, which
 *       judge a new revision, ignore failures with fault `Client` and count all others.
 */
import type { ErrorKind } from './error-kinds.ts';
import type { ErrorCode } from './errors.ts';
import { ownValue } from './record.ts';

export type Fault = 'Client' | 'Capacity' | 'Revision';

export const faults = {
  invalid: 'Client',
  missing: 'Client',
  conflict: 'Client',
  oversize: 'Client',
  /**
   * The client's deadline passed, or would have passed in the queue, and it was shorter than the server's limit for a
   * run.
   */
  clientDeadline: 'Client',
  /** The bodies of other requests already take up all the memory that is reserved for bodies. */
  clientBody: 'Client',
  /** The queue or the memory is full: the revision is too slow for its traffic. */
  overloaded: 'Capacity',
  waiting: 'Capacity',
  transient: 'Revision',
  /** The server's own time limit passed. */
  deadline: 'Revision',
  bug: 'Revision',
} as const satisfies Readonly<Record<ErrorKind | 'clientDeadline' | 'clientBody', Fault>>;

export type OutcomeKind = keyof typeof faults;

/** Errors that are counted under another kind than their own. */
const kindOfCode: Readonly<Partial<Record<ErrorCode, OutcomeKind>>> = { BODIES_FULL: 'clientBody' };

export type Failed = {
  readonly code: string;
  readonly kind: ErrorKind;
  /** The client's deadline in milliseconds after arrival; undefined when the client did not set a deadline. */
  readonly clientDeadlineMs?: number | undefined;
  /**
   * The server's limit for a run, in milliseconds. A request that missed its deadline, or that was refused because it
   * would miss it, counts as `clientDeadline` only if the client's deadline was shorter than this.
   */
  readonly ownDeadlineMs: number;
};

/** Errors of requests whose deadline was too short for the queue. */
const missedDeadline: readonly string[] = ['REQUEST_EXPIRED', 'WAIT_TOO_LONG'] satisfies readonly ErrorCode[];

/** The kind under which a failed request is counted. */
export function outcomeKindOf({ code, kind, clientDeadlineMs = Infinity, ownDeadlineMs }: Failed): OutcomeKind {
  if (missedDeadline.includes(code) && clientDeadlineMs < ownDeadlineMs) return 'clientDeadline';
  return ownValue(kindOfCode, code) ?? kind;
}

/**
 * Whether gates count errors of this kind against the revision. False for an unknown kind, which a later version may
 * report.
 */
export function countsAgainstRevision(kind: string): boolean {
  const fault = ownValue<Fault>(faults, kind);
  return fault === 'Revision' || fault === 'Capacity';
}
