/**
 * Every error the project raises on purpose.
 *
 * Owns:   the class. Codes and their wording are in error-codes.ts; what a kind means to each side in error-kinds.ts.
 * Rule:   an outcome the caller plans for is a value (a Decision, a Verdict, a BatchPlan); an
 *         error is for what it cannot plan for. Nobody matches on messages.
 */
import { codes, type ErrorCode, type ParamsOf } from './error-codes.ts';
import type { ErrorKind } from './error-kinds.ts';

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
