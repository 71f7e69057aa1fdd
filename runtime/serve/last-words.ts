/**
 * The termination message of the server's process.
 *
 * Owns:   writing the message. A message that cannot be written is logged.
 * Limits: imports little, because a process that starts over with another environment loads this file twice.
 */
import { writeFileSync } from 'node:fs';
import { AppError, messageOf } from '../../api/errors.ts';
import { printLastWords } from '../../api/last-words.ts';
import type { ExitCode } from '../../lib/lifecycle.ts';
import type { Logger } from '../../lib/log.ts';

export type LastWordsDeps = {
  /** Path of the termination log; undefined: last words are not written. */
  readonly terminationLog: string | undefined;
  readonly logger: Logger;
};

/** Runs a program and writes its failure as last words. @throws the program's error */
export async function lastWordsOf(
  terminationLog: string | undefined,
  logger: Logger,
  program: () => Promise<ExitCode>,
): Promise<ExitCode> {
  try {
    return await program();
  } catch (error) {
    sayLast({ terminationLog, logger }, error instanceof AppError ? error.code : 'INTERNAL', messageOf(error));
    throw error;
  }
}

export function sayLast({ terminationLog, logger }: LastWordsDeps, code: string | undefined, message: string): void {
  if (terminationLog === undefined) return;
  try {
    writeFileSync(terminationLog, code === undefined ? '' : printLastWords({ kind: 'failed', code, message }));
  } catch (error) {
    logger.warn('last words could not be written', { path: terminationLog, err: error });
  }
}
