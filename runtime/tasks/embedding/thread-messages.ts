/**
 * Messages between the HTTP thread and the tokenizer thread.
 *
 * Owns:  the messages, and the conversion of a received failure to an error.
 */
import { AppError, type ErrorCode } from '../../../api/errors.ts';
import type { ReadingRules, TokenRequest } from './read-request.ts';
import type { Vocabulary } from './tokenizer.ts';

/** The data that the tokenizer thread gets when it starts. */
export type ThreadTask = { readonly path: string; readonly configPath: string; readonly rules: ReadingRules };

export type ToThread =
  | {
      readonly kind: 'read';
      readonly job: number;
      readonly body: Uint8Array<ArrayBuffer>;
      /** Maximum bytes of memory for parsing and tokenising all jobs together. */ readonly memoryBytes: number;
    }
  | { readonly kind: 'cancel'; readonly job: number }
  /** The thread answers between two slices of work. If it does not answer, a single text is blocking it. */
  | { readonly kind: 'ping' };

export type Failure = { readonly code: ErrorCode; readonly params: AppError['params'] } | { readonly message: string };

export type FromThread =
  | { readonly kind: 'loaded'; readonly vocabulary: Vocabulary }
  | { readonly kind: 'loadFailed'; readonly failure: Failure }
  | { readonly kind: 'pong' }
  | { readonly kind: 'read'; readonly job: number; readonly request: TokenRequest }
  | { readonly kind: 'refused'; readonly job: number; readonly failure: Failure };

export function errorOf(failure: Failure): Error {
  return 'code' in failure ? new AppError(failure.code, failure.params) : new Error(failure.message);
}
