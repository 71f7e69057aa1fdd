/**
 * Whose fault it is when a request got no result: the one table that counters, metrics, reports and gates go by.
 *
 * Owns:  the kinds under which failed requests are counted, and the fault of each. The kinds of errors
 *        (error-kinds.ts) are
 *        among them; two more tell what a client made impossible from what a revision did not manage.
 * Rule:  `Client` counts neither for nor against a revision. `Capacity` and `Revision` count against it.
 * Pure.
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
  /** The client's own deadline came first, and it was shorter than what the server allows a run. */
  clientDeadline: 'Client',
  /** The bodies that clients are sending left no room for this one. */
  clientBody: 'Client',
  /** The queue or the memory is full: the revision does not keep up with its traffic. */
  overloaded: 'Capacity',
  waiting: 'Capacity',
  transient: 'Revision',
  /** The server's own limit of time. */
  deadline: 'Revision',
  bug: 'Revision',
} as const satisfies Readonly<Record<ErrorKind | 'clientDeadline' | 'clientBody', Fault>>;

export type OutcomeKind = keyof typeof faults;

/** Errors that are counted under another kind than their own, whatever the deadline. */
const kindOfCode: Readonly<Partial<Record<ErrorCode, OutcomeKind>>> = { BODIES_FULL: 'clientBody' };

export type Failed = {
  readonly code: string;
  readonly kind: ErrorKind;
  /** Milliseconds that the client gave its request; undefined when it gave no deadline. */
  readonly clientDeadlineMs?: number | undefined;
  /** Milliseconds that the server allows a run: a client's deadline of at least that long is the server's, too. */
  readonly ownDeadlineMs: number;
};

/** The kind under which a failed request is counted. */
export function outcomeKindOf({ code, kind, clientDeadlineMs = Infinity, ownDeadlineMs }: Failed): OutcomeKind {
  if (code === 'REQUEST_EXPIRED' && clientDeadlineMs < ownDeadlineMs) return 'clientDeadline';
  return ownValue(kindOfCode, code) ?? kind;
}

/** Whether errors counted under this kind are held against the revision. A kind of a later version is not. */
export function countsAgainstRevision(kind: string): boolean {
  const fault = ownValue<Fault>(faults, kind);
  return fault === 'Revision' || fault === 'Capacity';
}
