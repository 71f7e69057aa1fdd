/**
 * The runtime's settings from flags and environment. The config of the pod's revision (one immutable configuration of
 * a model) is a file (api/runtime-config.ts).
 *
 * Owns: the commands, their flags, variables and help texts, and the messages about wrong flags and variables. The
 *       sidecar reads its own variables (sidecar/config.ts).
 */
import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AppError } from '../../api/errors.ts';
import { env, paths, ports, terminationGraceSeconds } from '../../api/names.ts';
import { parseQuantity } from '../../api/quantities.ts';
import { serveForms } from '../../api/sources.ts';
import { parseDurationMs } from '../../api/units.ts';
import type { LogLevel } from '../../lib/log.ts';
import { parseFlags } from '../../lib/flags.ts';
import { nearby } from '../../lib/nearby.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Addresses, limits and times of the server, for a pod and for `serve`. */
export type ListenSettings = {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly metricsPort: number;
  readonly maxConnections: number;
  readonly bodyLimitBytes: number;
  /** After SIGTERM, the sockets close when no request and no connection has arrived for this long. */
  readonly drainMs: number;
  /** Time from SIGTERM to the kubelet's SIGKILL: the pod's terminationGracePeriodSeconds. */
  readonly graceMs: number;
  /**
   * A run (one call of ONNX Runtime) counts as stuck after this time at the earliest. When the runs of all workers are
   * stuck, readiness fails (engine/run-watch.ts).
   */
  readonly stuckAfterMs: number;
  /** How long the server may send requests to itself before it is ready (serve/self-requests.ts); 0: not at all. */
  readonly selfRequestsMs: number;
};

export type PodSettings = ListenSettings & {
  readonly configDir: string;
  readonly cacheDir: string;
  readonly sourceDir: string | undefined;
  readonly terminationLog: string | undefined;
  readonly allowFile: boolean;
};

export type ServeSettings = ListenSettings & {
  readonly uri: string;
  readonly name: string;
  readonly configFile: string | undefined;
  readonly cacheDir: string;
};

export type Command =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'prepare' | 'run' | 'sidecar'; readonly logLevel: LogLevel }
  | { readonly kind: 'serve'; readonly settings: ServeSettings; readonly logLevel: LogLevel };

const tuning = `Environment:
  ONNX_BODY_LIMIT           largest request body, also after decompression (default: 64Mi)
  ONNX_MAX_CONNECTIONS      maximum number of client connections at the same time (default: 1024)
  ONNX_DRAIN_DELAY          after SIGTERM, the sockets close when no request has arrived for this long (default: 5s; \
Ctrl-C does not wait)
  ONNX_GRACE_PERIOD         from SIGTERM to SIGKILL: terminationGracePeriodSeconds of the pod (default: \
${terminationGraceSeconds}s)
  ONNX_STUCK_AFTER          a run counts as stuck after this time, or ten times the longest warm-up run if that is \
longer (default: 30s)
  ONNX_SELF_REQUESTS        how long the server sends requests to itself before it is ready, until their CPU time does \
not fall any more (default: at most 5s; 0s: not at all)
  ONNX_LOG_LEVEL            debug, info, warn or error (default: info; for serve warn)`;

const exits =
  'Exit codes: 0 ended by a signal, 1 a bug, 2 wrong flags, configuration or model, 4 a source or service could not ' +
  'be reached.';

const helps = {
  main: `Usage: node /app/runtime/main.js COMMAND [options]

  serve MODEL   serves a model on this machine, without Kubernetes
  prepare       fetches and checks a revision's model (init container of a pod)
  run           serves the model that prepare fetched (main container of a pod)
  sidecar       serves the report of the pod (sidecar container of a pod)

COMMAND --help shows the options of a command.
`,
  serve: `Usage: npm run serve -- MODEL [options]

Fetches, checks and serves one model, without Kubernetes. MODEL is a file (model.onnx), a folder that contains one, or a
URI: ${serveForms}.

  --port N           port for requests (default: 8080; 0 for any free port)
  --host ADDRESS     address to listen at (default: 127.0.0.1)
  --metrics-port N   /metrics, /counters and /config (default: --port + 2; with --port 0 any free one)
  --config FILE      YAML or JSON: an OnnxModel, its spec, or parts of it (model, execution, batching, memory, warmup)
  --name NAME        name of the model in every URL (default: from the file's name)
  --cache DIR        folder for fetched and prepared models (default: ~/.cache/onnx-operator)
  --help

${tuning}

${exits}
`,
  run: `Usage: node /app/runtime/main.js run

Serves the revision of the config ${env.configDir}/${paths.configFile}, with the model that prepare stored in \
${env.cacheDir}. Listens at ${env.podIp}
(default 127.0.0.1), ports ${ports.runtime} (requests) and ${ports.metrics} (/metrics, /counters, /config). A failure \
is written to
${env.terminationLog} (termination message).

${tuning}

${exits}
`,
  prepare: `Usage: node /app/runtime/main.js prepare

Fetches, checks and optimises the model of the config ${env.configDir}/${paths.configFile}, and stores it in
${env.cacheDir}. Writes the result to ${env.terminationLog} (termination message).

${exits}
`,
  sidecar: `Usage: node /app/runtime/main.js sidecar

Serves /report at ${env.podIp}, port ${ports.sidecar}: the state and the counts of the pod's runtime.

${exits}
`,
} as const;

const commands = ['serve', 'prepare', 'run', 'sidecar'] as const;

/** @throws AppError BAD_FLAG, FILE_UNREADABLE */
export function readCommand(argv: readonly string[], environment: Environment): Command {
  const [name = 'help', ...rest] = argv;
  const asksHelp = (text: string | undefined): boolean => text === '--help' || text === '-h' || text === 'help';
  if (asksHelp(name)) return { kind: 'help', text: helps.main };
  const command = commands.find((one) => one === name);
  if (command === undefined)
    throw new AppError('BAD_FLAG', {
      flag: name,
      problem: `unknown command; available commands: ${commands.join(', ')}`,
    });
  if (rest.some((text) => text.startsWith('-') && asksHelp(text))) return { kind: 'help', text: helps[command] };
  if (command === 'serve')
    return { kind: 'serve', settings: serveSettings(rest, environment), logLevel: logLevelOf(environment, 'warn') };
  if (rest[0] !== undefined)
    throw new AppError('BAD_FLAG', { flag: rest[0], problem: `${command} takes no arguments` });
  return { kind: command, logLevel: logLevelOf(environment, 'info') };
}

/** @throws AppError BAD_CONFIG */
export function podSettings(environment: Environment): PodSettings {
  const podIp = environment[env.podIp] ?? '127.0.0.1';
  if (isIP(podIp) === 0)
    throw new AppError('BAD_CONFIG', {
      where: `environment variable ${env.podIp}`,
      problem: `'${podIp}' is not an IP address`,
    });
  // In local mode every pod has its own loopback address. It must not listen at 127.0.0.1, because all pods on the
  // machine share that address.
  const addresses = podIp.startsWith('127.') || podIp === '::1' ? [podIp] : [podIp, '127.0.0.1'];
  return {
    addresses,
    port: ports.runtime,
    metricsPort: ports.metrics,
    ...tuningOf(environment),
    configDir: environment[env.configDir] ?? paths.configDir,
    cacheDir: environment[env.cacheDir] ?? paths.cacheDir,
    sourceDir: environment[env.sourceDir],
    terminationLog: environment[env.terminationLog],
    allowFile: environment[env.allowFile] === 'true',
  };
}

const serveFlags = {
  port: { type: 'string', default: String(ports.runtime) },
  host: { type: 'string', default: '127.0.0.1' },
  'metrics-port': { type: 'string' },
  config: { type: 'string' },
  name: { type: 'string' },
  cache: { type: 'string' },
} as const;

function serveSettings(args: readonly string[], environment: Environment): ServeSettings {
  const { values, positionals } = parseFlags('serve', args, serveFlags);
  const [model, extra] = positionals;
  if (model === undefined)
    throw new AppError('BAD_FLAG', { flag: 'MODEL', problem: 'is required: a file, folder or URI of a model' });
  if (extra !== undefined)
    throw new AppError('BAD_FLAG', { flag: extra, problem: 'unexpected argument; serve takes one MODEL' });
  const port = portOf('--port', values.port);
  const metricsPort =
    values['metrics-port'] === undefined ? defaultMetricsPort(port) : portOf('--metrics-port', values['metrics-port']);
  return {
    addresses: [values.host],
    port,
    metricsPort,
    ...tuningOf(environment),
    uri: uriOf(model),
    name: values.name === undefined ? nameOf(model) : checkedName(values.name),
    configFile: values.config,
    cacheDir: resolve(
      values.cache ?? join(environment['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'onnx-operator'),
    ),
  };
}

function portOf(flag: string, text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a port from 0 to 65535` });
  return port;
}

function defaultMetricsPort(port: number): number {
  return port === 0 || port > 65_533 ? 0 : port + ports.metrics - ports.runtime;
}

/** Turns a path into a URI of the scheme `file`. The URI of a folder ends with "/". @throws AppError FILE_UNREADABLE */
function uriOf(model: string): string {
  if (/^[a-z][a-z0-9+.-]+:/i.test(model)) return model;
  const path = resolve(model);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined)
    throw new AppError('FILE_UNREADABLE', { path: model, why: `no such file or folder${nearby(path, '/')}` });
  return pathToFileURL(path).href + (found.isDirectory() ? '/' : '');
}

/** Makes a valid model name from the file's name, or from the folder's name when the file is called model.onnx. */
function nameOf(model: string): string {
  const segments = model
    .replace(/[?#].*$/, '')
    .split('/')
    .filter((segment) => segment !== '' && segment !== '.' && segment !== '..');
  const last = basename(segments.at(-1) ?? '', '.onnx');
  const telling = last === 'model' || last === '' ? (segments.at(-2) ?? 'model') : last;
  const name = telling
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  return name === '' ? 'model' : name;
}

function checkedName(name: string): string {
  if (!/^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/.test(name))
    throw new AppError('BAD_FLAG', {
      flag: '--name',
      problem: `'${name}' is not a name: use up to 40 lower-case letters, digits and dashes, beginning with a letter`,
    });
  return name;
}

function tuningOf(
  environment: Environment,
): Pick<
  ListenSettings,
  'maxConnections' | 'bodyLimitBytes' | 'drainMs' | 'graceMs' | 'stuckAfterMs' | 'selfRequestsMs'
> {
  return {
    bodyLimitBytes: amountOf(environment, 'ONNX_BODY_LIMIT', '64Mi', 2 ** 31),
    maxConnections: amountOf(environment, 'ONNX_MAX_CONNECTIONS', '1024', 1_000_000),
    drainMs: durationOf(environment, 'ONNX_DRAIN_DELAY', '5s'),
    graceMs: durationOf(environment, 'ONNX_GRACE_PERIOD', `${terminationGraceSeconds}s`),
    stuckAfterMs: durationOf(environment, 'ONNX_STUCK_AFTER', '30s'),
    selfRequestsMs: durationOf(environment, 'ONNX_SELF_REQUESTS', '5s'),
  };
}

function durationOf(environment: Environment, name: string, fallback: string): number {
  const text = environment[name] ?? fallback;
  return parseDurationMs(text) ?? refuse(name, `'${text}' is not a duration such as 5s`);
}

function amountOf(environment: Environment, name: string, fallback: string, most: number): number {
  const text = environment[name] ?? fallback;
  const amount = parseQuantity(text);
  if (amount === undefined || amount < 1 || amount > most)
    return refuse(name, `'${text}' is not an amount from 1 to ${most}`);
  return Math.floor(amount);
}

function logLevelOf(environment: Environment, fallback: LogLevel): LogLevel {
  const text = environment['ONNX_LOG_LEVEL'] ?? fallback;
  const level = (['debug', 'info', 'warn', 'error'] as const).find((one) => one === text);
  return level ?? refuse('ONNX_LOG_LEVEL', `'${text}' is not one of debug, info, warn, error`);
}

function refuse(name: string, problem: string): never {
  throw new AppError('BAD_CONFIG', { where: `environment variable ${name}`, problem });
}
