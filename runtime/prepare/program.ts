/**
 * `prepare` as a program: the init container of a pod.
 *
 * Owns:  reading what the operator mounted, the last words in the termination log, and the exit code. The operator
 *        learns from those words alone what became of the model.
 * Ends:  0 with the words `resolved`; 2 when somebody has to change the spec or the source, 4 when trying again may
 *        help (also after a signal), 1 for a bug; each with the words `failed`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, kindOf, messageOf } from '../../api/errors.ts';
import { parseLastWords, printLastWords, type LastWords, type Resolved } from '../../api/last-words.ts';
import { paths } from '../../api/names.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { Clock } from '../../lib/clock.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import type { Logger } from '../../lib/log.ts';
import { errnoOf } from './cache/durable-file.ts';
import { prepare, type PrepareOptions } from './prepare.ts';

export type PrepareProgram = {
  /** Reads and checks the revision's config; its errors become last words, too. */
  readonly readConfig: () => RuntimeConfig | Promise<RuntimeConfig>;
  /** Folder of the mounted ConfigMap; `resolved.json` in it is what the revision's first pod found. */
  readonly configDir: string;
  readonly cacheDir: string;
  readonly sourceDir: string | undefined;
  /** Undefined: nobody reads one. */
  readonly terminationLog: string | undefined;
  readonly allowFile: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Anything else that `prepare` takes. */
  readonly extra?: Partial<PrepareOptions>;
};

/** @param stop ends the work as soon as a signal comes; what was fetched until then is kept */
export async function runPrepare(program: PrepareProgram, stop: AbortSignal): Promise<ExitCode> {
  const { logger } = program;
  try {
    const prepared = await work(program, stop);
    await sayLast(program, { kind: 'resolved', resolved: prepared });
    return exitCodes.ok;
  } catch (error) {
    if (stop.aborted) {
      logger.info('prepare was stopped', { reason: messageOf(stop.reason) });
      await sayLast(program, {
        kind: 'failed',
        code: 'STOPPED',
        message: 'it was stopped by a signal before the model was ready',
      });
      return exitCodes.unavailable;
    }
    logger.error('prepare failed', { err: error });
    // A bug's message may say anything; the stack in the log is for those who may read logs.
    await sayLast(program, {
      kind: 'failed',
      code: error instanceof AppError ? error.code : 'INTERNAL',
      message: messageOf(error),
    });
    return exitCodeOf(error);
  }
}

async function work(program: PrepareProgram, signal: AbortSignal): Promise<Resolved> {
  const { configDir, cacheDir, sourceDir, allowFile, logger, clock } = program;
  const config = await program.readConfig();
  const resolved = await readResolved(join(configDir, paths.resolvedFile));
  const prepared = await prepare(config, {
    cacheDir,
    allowFile,
    logger,
    clock,
    signal,
    ...(sourceDir === undefined ? {} : { sourceDir }),
    ...(resolved === undefined ? {} : { resolved }),
    ...program.extra,
  });
  return prepared.resolved;
}

/**
 * @returns undefined when the operator does not know yet
 * @throws BAD_CONFIG when the file is there but not readable: serving other bytes than the revision's would be worse
 */
async function readResolved(path: string): Promise<Resolved | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  });
  if (text === undefined || text.trim() === '') return undefined;
  const words = parseLastWords(`{"schema":1,"kind":"resolved","resolved":${text}}`);
  if (words?.kind !== 'resolved')
    throw new AppError('BAD_CONFIG', { where: path, problem: 'it does not say what the revision is made of' });
  return words.resolved;
}

/** Written in place: in a pod the file is a mount, which cannot be replaced. */
async function sayLast({ terminationLog, logger }: PrepareProgram, words: LastWords): Promise<void> {
  if (terminationLog === undefined) return;
  await writeFile(terminationLog, printLastWords(words)).catch((error: unknown) => {
    logger.warn('last words could not be written', { path: terminationLog, err: error });
  });
}

function exitCodeOf(error: unknown): ExitCode {
  switch (kindOf(error)) {
    case 'invalid':
    case 'missing':
    case 'oversize':
      return exitCodes.usage;
    case 'bug':
      return exitCodes.bug;
    case 'conflict':
    case 'overloaded':
    case 'waiting':
    case 'transient':
    case 'deadline':
      return exitCodes.unavailable;
  }
}
