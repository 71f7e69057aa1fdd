/**
 * The error class of the project.
 *
 * Owns: the class. Codes and messages are in error-codes.ts, kinds in error-kinds.ts. An outcome that the caller
 *       expects is a value (a Decision, a Verdict, a BatchPlan), not an error. Code compares codes, never messages.
 */
import { codes, type ErrorCode, type ParamsOf } from './error-codes.ts';
import type { ErrorKind } from './error-kinds.ts';

export type { ErrorCode } from './error-codes.ts';

export class AppError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AppError';
  readonly code: C;
  readonly kind: ErrorKind;
  readonly params: ParamsOf<C>;

  /** @param options.kind replaces the code's usual kind; for an error whose kind depends on another system's answer */
  constructor(code: C, params: ParamsOf<C>, options?: { cause?: unknown; kind?: ErrorKind }) {
    // TypeScript cannot infer that codes[code] is the row of C; error-codes.ts checks the rows.
    const say = codes[code].say as (params: ParamsOf<C>) => string;
    super(say(params), options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = options?.kind ?? codes[code].kind;
    this.params = params;
  }
}

/** The kind of an error; `bug` for every error that is not an AppError. */
export function kindOf(error: unknown): ErrorKind {
  return error instanceof AppError ? error.kind : 'bug';
}

/** The message of a thrown value, which may be any type. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
