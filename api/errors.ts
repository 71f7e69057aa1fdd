/**
 * Every error the project raises on purpose, and what each kind of error means to each side.
 *
 * Owns:   the codes, their wording, and the one table that turns a kind into a retry, an HTTP
 *         status and a log level. No other file switches on an error.
 * Rule:   an outcome the caller plans for is a value (a Decision, a Verdict, a BatchPlan); an
 *         error is for what it cannot plan for. Nobody matches on messages.
 */
import { codes, type ErrorCode, type ParamsOf } from './error-codes.ts';

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
export type { ErrorCode } from './error-codes.ts';

export class AppError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AppError';
  readonly code: C;
  readonly kind: ErrorKind;
  readonly params: ParamsOf<C>;

  /** @param options.kind where another system's answer decides who can fix it; otherwise the code's row says */
  constructor(code: C, params: ParamsOf<C>, options?: { cause?: unknown; kind?: ErrorKind }) {
    // The registry's rows are checked where they stand; TypeScript cannot follow a code to its own row here.
    const say = codes[code].say as (params: ParamsOf<C>) => string;
    super(say(params), options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = options?.kind ?? codes[code].kind;
    this.params = params;
  }
}

/** Anything thrown that is not ours is our bug until someone gives it a code. */
export function kindOf(error: unknown): ErrorKind {
  return error instanceof AppError ? error.kind : 'bug';
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
