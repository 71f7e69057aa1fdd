/**
 * The kinds of errors.
 *
 * Owns: the table of each kind's retry policy, HTTP status and log level. In api/error-codes.ts, a code may have an
 * HTTP status that differs from the status of its kind.
 */

/** A kind says who can fix the error, and when a retry can help. */
export const kinds = {
  /** The user's input is wrong. A retry with the same input fails again. */
  invalid: { retry: 'never', http: 400, log: 'info' },
  /** The input names an object that does not exist. It may be created later. */
  missing: { retry: 'on-change', http: 404, log: 'info' },
  /** Another writer changed the object. Read it again and retry. */
  conflict: { retry: 'now', http: 409, log: 'debug' },
  /** The request is larger than a limit of this server. */
  oversize: { retry: 'never', http: 413, log: 'info' },
  /** A queue or the memory is full. The caller should retry after a pause. */
  overloaded: { retry: 'backoff', http: 429, log: 'warn' },
  /** The process is not ready yet, or it is shutting down. This is not a failure. */
  waiting: { retry: 'after', http: 503, log: 'debug' },
  /** A failure of the network, the API server or a registry. A retry is likely to succeed. */
  transient: { retry: 'backoff', http: 503, log: 'warn' },
  /** The deadline passed. */
  deadline: { retry: 'never', http: 504, log: 'info' },
  /** A mistake in this project's code. Logged as an error, with its stack. */
  bug: { retry: 'backoff', http: 500, log: 'error' },
} as const;

export type ErrorKind = keyof typeof kinds;
