/**
 * Serves one prepared model until it is told to stop, and says why when it cannot.
 *
 * Owns:  the life of the process around a ModelServer: reading the machine, last words, the way out.
 * Ends:  after a drain, with exit code 0. A failure is written to the termination log first. When runs cannot be waited
 *        for any longer the process kills itself: exiting while ONNX Runtime runs would abort it half-way, with a core
 *        dump.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
import { printLastWords } from '../../api/last-words.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { aborted } from '../../lib/abort.ts';
import { systemClock } from '../../lib/clock.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import type { Logger } from '../../lib/log.ts';
import packageJson from '../../package.json' with { type: 'json' };
import type { Prepared } from '../prepare/prepared.ts';
import { readKernelFile, readLimits, readThrottledSeconds } from '../config/cgroup.ts';
import type { ListenSettings } from '../config/command-line.ts';
import { closedDoor, type Door } from '../config/access-file.ts';
import { WorkerPool } from '../engine/pool.ts';
import { endAfterGrace } from './last-resort.ts';
import { ModelServer } from './model-server.ts';
import { cpuFeatures } from '../config/node-facts.ts';

export type Serving = {
  readonly config: RuntimeConfig;
  readonly prepared: Prepared;
  readonly settings: ListenSettings;
  /** Undefined: nobody reads one. */
  readonly terminationLog: string | undefined;
  readonly logger: Logger;
  /** Who may take samples and ask uncounted; absent: nobody. */
  readonly door?: Door;
  readonly onReady: (server: ModelServer) => void;
  /** Aborted when nobody is there who would have to learn of the end: the drain then does not wait. */
  readonly hurry?: AbortSignal;
};

/** How long a failed start waits for runs that are under way. */
const patienceMs = 10_000;
/** How long a server without hope takes to end once it has drained. */
const hopelessMs = 3000;
/** What draining leaves of the grace period for requests under way and for releasing the model. */
const closingMs = 10_000;

/**
 * Runs a program whose failure is the pod's last words.
 * @throws what the program throws
 */
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

/** @throws AppError PORT_TAKEN, ENGINE_LOAD_FAILED, WARMUP_TIMEOUT, and what the task refuses */
export async function serveModel(serving: Serving, stop: AbortSignal): Promise<ExitCode> {
  const { logger, config, onReady, hurry } = serving;
  const server = makeServer(serving);
  const { graceMs, drainMs } = serving.settings;
  const lastResort = (withinMs: number): void =>
    endAfterGrace({
      clock: systemClock,
      logger,
      model: config.name,
      graceMs: withinMs,
      runs: () => server.runs,
      giveUp: (error) => server.giveUp(error),
      sayLast: (code, message) => sayLast(serving, code, message),
      kill: killMyself,
    });
  const endWithin = (): number => {
    if (hurry?.aborted === true) return Math.min(graceMs, patienceMs);
    // Its runs do not end: there is nothing to wait for but clients that have to learn of it.
    return server.alive ? graceMs : Math.min(graceMs, drainMs + hopelessMs);
  };
  // Ctrl-C is heard of by another listener as well, which has to come first.
  stop.addEventListener('abort', () => queueMicrotask(() => lastResort(endWithin())), { once: true });
  await server.listen();
  // Nobody can write after a crash in native code, so what that would mean is written before.
  sayLast(
    serving,
    'ENGINE_LOST',
    `the process ended while ONNX Runtime loaded or warmed ${serving.prepared.graphPath}: it crashed or was ` +
      'killed there',
  );
  try {
    await server.load(stop);
  } catch (error) {
    // Said before closing: that may end in a kill.
    if (!stop.aborted) sayLast(serving, error instanceof AppError ? error.code : 'INTERNAL', messageOf(error));
    await leave(server, () =>
      logger.error('the process kills itself: a run of the model does not end', { because: messageOf(error) }),
    );
    if (stop.aborted) return exitCodes.ok;
    throw error;
  }
  sayLast(serving, undefined, '');
  logger.info('model ready', { model: config.name, revision: config.revision, port: server.port });
  onReady(server);
  await aborted(stop);
  await server.drain(hurry);
  logger.info('drained', { model: config.name, revision: config.revision });
  return exitCodes.ok;
}

function makeServer({ config, prepared, settings, logger, terminationLog, door = closedDoor }: Serving): ModelServer {
  const limits = readLimits(readKernelFile);
  const clock = systemClock;
  return new ModelServer({
    ...settings,
    config,
    prepared,
    clock,
    logger,
    door,
    machine: { cpus: availableParallelism(), ...(limits.cpuQuota === undefined ? {} : { quota: limits.cpuQuota }) },
    drainMostMs: Math.max(0, settings.graceMs - closingMs),
    onStuck: (error) => sayLast({ terminationLog, logger }, error.code, error.message),
    memoryLimitBytes: config.memory.limitBytes ?? limits.memoryBytes,
    serverVersion: packageJson.version,
    cpuFeatures: cpuFeatures(readKernelFile('/proc/cpuinfo') ?? ''),
    throttledSeconds: () => readThrottledSeconds(readKernelFile),
    loadEngine: ({ model, workers, graphPath, options, nice }) =>
      WorkerPool.start({ model, workers, task: { graphPath, options, nice }, clock, logger }),
    sourceFile: (path) => join(prepared.root, path),
  });
}

/** Closes within bounds. @param onKill told when that takes a kill: nobody hears of the error otherwise */
async function leave(server: ModelServer, onKill: () => void): Promise<void> {
  const enough = systemClock.sleep(patienceMs).then(() => 'late' as const);
  if ((await Promise.race([server.close(), enough])) !== 'late') return;
  onKill();
  killMyself();
}

/** `process.exit` would wait for the threads that ONNX Runtime holds. */
function killMyself(): void {
  process.kill(process.pid, 'SIGKILL');
}

function sayLast(
  { terminationLog, logger }: Pick<Serving, 'terminationLog' | 'logger'>,
  code: string | undefined,
  message: string,
): void {
  if (terminationLog === undefined) return;
  try {
    writeFileSync(terminationLog, code === undefined ? '' : printLastWords({ kind: 'failed', code, message }));
  } catch (error) {
    logger.warn('last words could not be written', { path: terminationLog, err: error });
  }
}
