/**
 * The runtime's process: `serve` for a single machine, and the three containers of a pod. `prepare` fetches and checks
 * the model, `run` serves it, and `sidecar` reports the state of the pod to the operator.
 *
 * Owns:  the wiring of the commands, and the environment variables that native libraries need at process start.
 * Ends:  with the exit codes of lib/lifecycle.ts; a user error is one sentence on stderr.
 */
import '../scripts/node-guard.cjs';
import { accessSync, constants, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, messageOf } from '../api/errors.ts';
import { paths } from '../api/names.ts';
import type { RuntimeConfig } from '../api/runtime-config.ts';
import { systemClock } from '../lib/clock.ts';
import { exitCodes, run, type ExitCode } from '../lib/lifecycle.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { podSettings, readCommand, type Command, type PodSettings, type ServeSettings } from './config/command-line.ts';
import { quit } from './engine/native-work.ts';
import { readyLine } from './serve/ready-line.ts';
import { AccessFile } from './config/access-file.ts';
import { checkRuntimeConfig } from './config/revision-file.ts';
import { missingEnvironment } from './config/native-environment.ts';
import { completeConfig } from './config/serve-file.ts';

/** A larger config file is refused. A config has only a few KiB. */
const configLimitBytes = 1 << 20;

/**
 * Re-executes itself (execve) with the required environment variables; the process id stays the same. In a pod, the
 * usual values are set from the start.
 *
 * @param thresholdBytes the thresholds that were chosen for the model; absent: the usual ones
 */
function startOver(thresholdBytes?: number): void {
  const missing = missingEnvironment(process.env, thresholdBytes);
  if (Object.keys(missing).length === 0 || process.execve === undefined) return;
  process.execve(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...process.env,
    ...missing,
  });
}

function execute(command: Exclude<Command, { kind: 'help' }>, logger: Logger, stop: AbortSignal): Promise<ExitCode> {
  switch (command.kind) {
    case 'serve':
      return serve(command.settings, logger, stop);
    case 'prepare':
      return preparePod(podSettings(process.env), logger, stop);
    case 'run':
      return runPod(podSettings(process.env), logger, stop);
    case 'sidecar':
      return sidecar(logger, stop);
  }
}

/** Does the work of `prepare` and then of `run`, in one process. */
async function serve(settings: ServeSettings, logger: Logger, stop: AbortSignal): Promise<ExitCode> {
  const { uri, name, configFile, cacheDir } = settings;
  const given = configFile === undefined ? undefined : await parseFile(configFile, readBounded(configFile));
  const config = completeConfig(given, configFile ?? 'serve', { uri, name });
  makeWritable(cacheDir);
  const { prepare } = await import('./prepare/prepare.ts');
  const prepared = await prepare(config, { cacheDir, allowFile: true, logger, clock: systemClock, signal: stop }).catch(
    (error: unknown) => {
      if (stop.aborted) return undefined;
      throw error;
    },
  );
  if (prepared === undefined) return exitCodes.interrupted;
  // After starting over, prepare() finds its results in the cache.
  startOver(prepared.allocation?.thresholdBytes);
  for (const note of prepared.notes) logger.warn('model prepared with a warning', { note });
  const { serveModel } = await import('./serve/serve-model.ts');
  return serveModel(
    {
      config,
      prepared,
      settings,
      logger,
      terminationLog: undefined,
      hurry: onInterrupt(),
      onReady: (server) => {
        const host = settings.addresses[0] ?? '127.0.0.1';
        const urlOf = (port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
        process.stdout.write(
          readyLine({
            config,
            signature: prepared.info,
            url: urlOf(server.port),
            metricsUrl: urlOf(server.metricsPort),
            alone: server.alone,
          }),
        );
      },
    },
    stop,
  );
}

/** @throws AppError BAD_FLAG */
function makeWritable(cacheDir: string): void {
  try {
    mkdirSync(cacheDir, { recursive: true });
    accessSync(cacheDir, constants.W_OK);
  } catch (error) {
    throw new AppError(
      'BAD_FLAG',
      { flag: '--cache', problem: `cannot write to ${cacheDir} (${messageOf(error)}): choose another folder` },
      { cause: error },
    );
  }
}

/**
 * Aborted at SIGINT (Ctrl-C): the user wants the process to end at once. After SIGTERM the server drains first, for
 * load balancers.
 */
function onInterrupt(): AbortSignal {
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  return interrupted.signal;
}

async function preparePod(settings: PodSettings, logger: Logger, stop: AbortSignal): Promise<ExitCode> {
  const { configDir, cacheDir, sourceDir, terminationLog, allowFile } = settings;
  const { runPrepare } = await import('./prepare/program.ts');
  return runPrepare(
    {
      readConfig: () => readPodConfig(configDir),
      configDir,
      cacheDir,
      sourceDir,
      terminationLog,
      allowFile,
      logger,
      clock: systemClock,
    },
    stop,
  );
}

async function runPod(settings: PodSettings, logger: Logger, stop: AbortSignal): Promise<ExitCode> {
  const { lastWordsOf } = await import('./serve/last-words.ts');
  const { readPrepared } = await import('./prepare/prepared.ts');
  return lastWordsOf(settings.terminationLog, logger, async () => {
    const config = await readPodConfig(settings.configDir);
    const prepared = await readPrepared(settings.cacheDir, config.revision);
    startOver(prepared.allocation?.thresholdBytes);
    const { serveModel } = await import('./serve/serve-model.ts');
    return serveModel(
      {
        config,
        prepared,
        settings,
        logger,
        door: new AccessFile(settings.configDir, systemClock),
        terminationLog: settings.terminationLog,
        onReady: () => {},
      },
      stop,
    );
  });
}

async function sidecar(logger: Logger, stop: AbortSignal): Promise<ExitCode> {
  const { runSidecar } = await import('./sidecar/main.ts');
  return runSidecar(stop, logger);
}

/** @throws AppError FILE_UNREADABLE, BAD_CONFIG */
async function readPodConfig(configDir: string): Promise<RuntimeConfig> {
  const path = join(configDir, paths.configFile);
  return checkRuntimeConfig(await parseFile(path, readBounded(path)), path);
}

function readBounded(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > configLimitBytes)
      throw new AppError('BAD_CONFIG', {
        where: path,
        problem: `the file has ${size} bytes; the limit is ${configLimitBytes} bytes`,
      });
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
}

/** Reads JSON or YAML. The operator writes JSON; the YAML parser is only loaded for other text. */
async function parseFile(path: string, text: string): Promise<unknown> {
  const json = parseJson(text);
  if (json !== undefined) return json;
  const { parse } = await import('yaml');
  try {
    return parse(text, { maxAliasCount: 100 });
  } catch (error) {
    throw new AppError(
      'BAD_CONFIG',
      { where: path, problem: messageOf(error).split('\n')[0] ?? 'the file is not valid YAML' },
      { cause: error },
    );
  }
}

/** @returns undefined when the text is not JSON */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function main(): Promise<never> {
  const quiet = createLogger('runtime', 'info');
  let command: Command;
  try {
    command = readCommand(process.argv.slice(2), process.env);
  } catch (error) {
    return run(quiet, () => Promise.reject(error instanceof Error ? error : new Error(String(error))));
  }
  if (command.kind === 'help') {
    process.stdout.write(command.text);
    return run(quiet, () => Promise.resolve(exitCodes.ok));
  }
  startOver();
  const known = command;
  const logger = createLogger(known.kind, known.logLevel);
  return run(logger, (stop) => execute(known, logger, stop), quit);
}

await main();
