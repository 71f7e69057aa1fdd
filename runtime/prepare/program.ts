/**
 * `prepare` as a program: the init container of a pod.
 *
 * Owns:  reading what the operator mounted, the termination message, and the exit code. The operator learns the result
 *        from the termination message alone.
 * Ends:  with exit code 0 and the message `resolved`, or with the message `failed` and another exit code: 2 when the
 *        spec or the source must be changed, 4 when a retry may help (also after a signal), 1 for a bug.
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
import { diskError, errnoOf } from './cache/durable-file.ts';
import { prepare, type PrepareDeps } from './prepare.ts';

export type PrepareProgramDeps = {
  /** Reads and checks the revision's configuration; its errors go into the termination message too. */
  readonly readConfig: () => RuntimeConfig | Promise<RuntimeConfig>;
  /** Folder of the mounted ConfigMap; its `resolved.json` holds the digests that the revision's first pod found. */
  readonly configDir: string;
  readonly cacheDir: string;
  readonly sourceDir: string | undefined;
  /** Path of the termination log; undefined: do not write one. */
  readonly terminationLog: string | undefined;
  readonly allowFile: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Further options of `prepare`. */
  readonly extra?: Partial<PrepareDeps>;
};

/** @param stop aborted on a signal; bytes fetched until then are kept */
export async function runPrepare(deps: PrepareProgramDeps, stop: AbortSignal): Promise<ExitCode> {
  const { logger } = deps;
  try {
    const prepared = await work(deps, stop);
    await sayLast(deps, { kind: 'resolved', resolved: prepared });
    return exitCodes.ok;
  } catch (error) {
    if (stop.aborted) {
      logger.info('prepare was stopped', { reason: messageOf(stop.reason) });
      await sayLast(deps, {
        kind: 'failed',
        code: 'STOPPED',
        message: 'a signal stopped prepare before the model was ready',
      });
      return exitCodes.unavailable;
    }
    // Every step of prepare writes below the cache folder.
    const failure = diskError(error, deps.cacheDir);
    logger.error('prepare failed', { err: failure });
    // An error that is not an AppError is a bug. The termination message has its text; the log also has its stack.
    await sayLast(deps, {
      kind: 'failed',
      code: failure instanceof AppError ? failure.code : 'INTERNAL',
      message: messageOf(failure),
    });
    return exitCodeOf(failure);
  }
}

async function work(deps: PrepareProgramDeps, signal: AbortSignal): Promise<Resolved> {
  const { configDir, cacheDir, sourceDir, allowFile, logger, clock } = deps;
  const config = await deps.readConfig();
  const resolved = await readResolved(join(configDir, paths.resolvedFile));
  const prepared = await prepare(config, {
    cacheDir,
    allowFile,
    logger,
    clock,
    signal,
    ...(sourceDir === undefined ? {} : { sourceDir }),
    ...(resolved === undefined ? {} : { resolved }),
    ...deps.extra,
  });
  return prepared.resolved;
}

/**
 * @returns undefined when the operator does not know the digest yet
 * @throws FILE_UNREADABLE when the file exists but cannot be read, BAD_CONFIG when it does not contain the digest:
 *   without the digest, this pod could serve other bytes
 */
async function readResolved(path: string): Promise<Resolved | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  });
  if (text === undefined || text.trim() === '') return undefined;
  const words = parseLastWords(`{"schema":1,"kind":"resolved","resolved":${text}}`);
  if (words?.kind !== 'resolved')
    throw new AppError('BAD_CONFIG', { where: path, problem: "it does not contain the model's digest" });
  return words.resolved;
}

/** Overwrites the termination log: in a pod, the file is a mount and cannot be replaced. */
async function sayLast({ terminationLog, logger }: PrepareProgramDeps, words: LastWords): Promise<void> {
  if (terminationLog === undefined) return;
  await writeFile(terminationLog, printLastWords(words)).catch((error: unknown) => {
    logger.warn('termination message could not be written', { path: terminationLog, err: error });
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
