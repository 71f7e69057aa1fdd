/**
 * The kinds of errors, and what each means to each side.
 *
 * Owns:  the one table that turns a kind into a retry, an HTTP status and a log level. No other file switches on an
 *        error.
 */

/** Who can fix it, and so what to do about it. */
export const kinds = {
  /** The user's input is wrong. Retrying the same input cannot help. */
  invalid: { retry: 'never', http: 400, log: 'info' },
  /** It names something that is not there. May appear later. */
  missing: { retry: 'on-change', http: 404, log: 'info' },
  /** Someone else wrote first. Read again and redo. */
  conflict: { retry: 'now', http: 409, log: 'debug' },
  /** It can never fit the limits of this server. */
  oversize: { retry: 'never', http: 413, log: 'info' },
  /** Full. The caller should come back after a pause. */
  overloaded: { retry: 'backoff', http: 429, log: 'warn' },
  /** Not ready yet, or no longer; nothing is wrong. */
  waiting: { retry: 'after', http: 503, log: 'debug' },
  /** The network, the API server, the registry: likely to pass. */
  transient: { retry: 'backoff', http: 503, log: 'warn' },
  /** Ran out of the time the caller gave. */
  deadline: { retry: 'never', http: 504, log: 'info' },
  /** Our own mistake. Loud, with a stack. */
  bug: { retry: 'backoff', http: 500, log: 'error' },
} as const;

export type ErrorKind = keyof typeof kinds;
