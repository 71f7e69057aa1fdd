/**
 * Serves one prepared model until SIGTERM.
 *
 * Owns: the process around a ModelServer: reading the machine's limits, last words, the exit. After a drain the exit
 *       code is 0. When a run does not end in time, the process kills itself, because `process.exit` would wait for
 *       the run.
 * Terms: last words are the container's termination message. A run is one call of ONNX Runtime. To drain is to finish
 *       current requests and accept no new ones.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
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
import { sayLast } from './last-words.ts';
import { endAfterGrace } from './last-resort.ts';
import { ModelServer } from './model-server.ts';
import { cpuFeatures } from '../config/node-facts.ts';

export type ServingDeps = {
  readonly config: RuntimeConfig;
  readonly prepared: Prepared;
  readonly settings: ListenSettings;
  /** Path of the termination log; undefined: last words are not written. */
  readonly terminationLog: string | undefined;
  readonly logger: Logger;
  /**
   * Checks tokens. Only a request with the token of this pod's revision may take samples (requests of users that were
   * kept), and is not counted as traffic. Absent: no token is accepted.
   */
  readonly door?: Door;
  readonly onReady: (server: ModelServer) => void;
  /** Aborted on Ctrl-C: the drain does not wait until clients stop sending requests. */
  readonly hurry?: AbortSignal;
};

/** How long a failed start, or an end by Ctrl-C, waits for current runs, in milliseconds. */
const patienceMs = 10_000;
/** How long the process may take to end after the drain when runs are stuck, in milliseconds. */
const hopelessMs = 3000;
/** The part of the grace period that is reserved after the drain for current requests and for releasing the model. */
const closingMs = 10_000;

/** @throws AppError PORT_TAKEN, ENGINE_LOAD_FAILED, WARMUP_TIMEOUT, MODEL_TOO_LARGE, and errors of the task */
export async function serveModel(deps: ServingDeps, stop: AbortSignal): Promise<ExitCode> {
  const { logger, config, onReady, hurry } = deps;
  const server = makeServer(deps);
  const { graceMs, drainMs } = deps.settings;
  const lastResort = (withinMs: number): void =>
    endAfterGrace({
      clock: systemClock,
      logger,
      model: config.name,
      graceMs: withinMs,
      runs: () => server.runs,
      giveUp: (error) => server.giveUp(error),
      sayLast: (code, message) => sayLast(deps, code, message),
      kill: killMyself,
    });
  const endWithin = (): number => {
    if (hurry?.aborted === true) return Math.min(graceMs, patienceMs);
    // If the server is not alive, it cannot answer requests any more. It only drains, so that load balancers can remove
    // the pod.
    return server.alive ? graceMs : Math.min(graceMs, drainMs + hopelessMs);
  };
  // Wait for a microtask: on Ctrl-C, the listener that aborts `hurry` must run first.
  stop.addEventListener('abort', () => queueMicrotask(() => lastResort(endWithin())), { once: true });
  await server.listen();
  // After a crash in native code, this process could not write a message. So it writes the message now, and removes it
  // when the model is ready.
  sayLast(
    deps,
    'ENGINE_LOST',
    `the process crashed or was killed while ONNX Runtime loaded or warmed up ${deps.prepared.graphPath}`,
  );
  try {
    await server.load(stop);
  } catch (error) {
    // Write the termination message first: `leave` may kill this process.
    if (!stop.aborted) sayLast(deps, error instanceof AppError ? error.code : 'INTERNAL', messageOf(error));
    await leave(server, () =>
      logger.error('the process kills itself because a run of the model does not end', { because: messageOf(error) }),
    );
    if (stop.aborted) return exitCodes.ok;
    throw error;
  }
  sayLast(deps, undefined, '');
  logger.info('model ready', { model: config.name, revision: config.revision, port: server.port });
  onReady(server);
  await aborted(stop);
  await server.drain(hurry);
  logger.info('drained', { model: config.name, revision: config.revision });
  return exitCodes.ok;
}

function makeServer({
  config,
  prepared,
  settings,
  logger,
  terminationLog,
  door = closedDoor,
}: ServingDeps): ModelServer {
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

/**
 * Closes the server, or kills the process if closing takes longer than `patienceMs`.
 * @param onKill called before the kill, to log the error
 */
async function leave(server: ModelServer, onKill: () => void): Promise<void> {
  const late = systemClock.sleep(patienceMs).then(() => 'late' as const);
  if ((await Promise.race([server.close(), late])) !== 'late') return;
  onKill();
  killMyself();
}

/** `process.exit` would wait for the threads that run ONNX Runtime. */
function killMyself(): void {
  process.kill(process.pid, 'SIGKILL');
}
