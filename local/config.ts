/**
 * The configuration of local mode, a Kubernetes cluster in one process: flags and environment, read once, frozen.
 * Owns: the flags, their defaults, and the messages for wrong flags. Other files in local/ do not read process.argv or
 * process.env.
 */
import { localRuntimeImage } from '../api/names.ts';
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AppError } from '../api/errors.ts';
import { present } from '../api/present.ts';
import type { LogLevel } from '../lib/log.ts';
import { parseOnlyFlags } from '../lib/flags.ts';

export type LocalConfig = {
  /** Path where the kubeconfig is written. Absent: `kubeconfig` in the data folder. */
  readonly kubeconfig?: string;
  /** The folder that keeps all state. Absent: a temporary folder that is removed when local mode ends. */
  readonly dataDir?: string;
  /** Name of a volume claim → an existing folder. */
  readonly volumes: ReadonlyMap<string, string>;
  /** The port of the API server. 0: any free port. */
  readonly port: number;
  readonly operator: boolean;
  readonly logLevel: LogLevel;
  /** The environment that every container starts with. */
  readonly machineEnv: Readonly<Record<string, string>>;
};

export const help = `Usage: npm run local -- [options]

Runs OnnxModels on this machine without a cluster: a Kubernetes API on a loopback port, the controllers behind it, a \
kubelet
that runs pods as processes, a router for Services, and the operator. Prints one line when it is ready.

  --kubeconfig FILE     where to write the kubeconfig (default: kubeconfig in the data folder)
  --data DIR            keeps all state in this folder, across restarts (default: a temporary folder, removed at the \
end)
  --volume CLAIM=DIR    creates PersistentVolumeClaim CLAIM in namespace default, backed by folder DIR; may be repeated
  --port N              port of the API on 127.0.0.1 (default: any free one)
  --no-operator         without the operator; run it with "npm run operator -- --kubeconfig FILE --service-address \
ClusterIP
                        --runtime-image ${localRuntimeImage}"; names of Services are not resolved on this \
machine
  --log-level LEVEL     debug, info, warn or error (default: info)
  --help

Exit codes: 0 ended by a signal, 1 a bug, 2 wrong flags or folders, 4 the port or the data folder is in use.
`;

const options = {
  kubeconfig: { type: 'string' },
  data: { type: 'string' },
  volume: { type: 'string', multiple: true },
  port: { type: 'string', default: '0' },
  'no-operator': { type: 'boolean', default: false },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', default: false },
} as const;

/**
 * Reads flags and environment.
 * @returns 'help' when the user asked for help
 * @throws AppError BAD_FLAG, FOLDER_UNUSABLE
 */
export function readLocalConfig(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): LocalConfig | 'help' {
  const flags = parseOnlyFlags('command line', argv, options);
  if (flags.help) return 'help';
  return Object.freeze({
    ...present({
      kubeconfig: kubeconfigPath(flags.kubeconfig),
      dataDir: flags.data === undefined ? undefined : resolve(flags.data),
    }),
    volumes: new Map((flags.volume ?? []).map(volumeOf)),
    port: portOf(flags.port),
    operator: !flags['no-operator'],
    logLevel: levelOf(flags['log-level']),
    machineEnv: machineEnvironment(environment),
  });
}

function kubeconfigPath(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  mustBeFolder(dirname(resolve(path)));
  return resolve(path);
}

/** Parses `CLAIM=DIR`, where CLAIM must be a valid Kubernetes name. */
function volumeOf(text: string): readonly [string, string] {
  const [, claim = '', dir = ''] = /^([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)=(.+)$/.exec(text) ?? [];
  if (claim === '') throw new AppError('BAD_FLAG', { flag: '--volume', problem: `'${text}' is not CLAIM=DIR` });
  return [claim, mustBeFolder(resolve(dir))];
}

function mustBeFolder(dir: string): string {
  const found = statSync(dir, { throwIfNoEntry: false });
  if (found === undefined) throw new AppError('FOLDER_UNUSABLE', { dir, why: 'the folder does not exist' });
  if (!found.isDirectory()) throw new AppError('FOLDER_UNUSABLE', { dir, why: 'the path is not a folder' });
  return dir;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535)
    throw new AppError('BAD_FLAG', { flag: '--port', problem: `'${text}' is not a port from 0 to 65535` });
  return port;
}

function levelOf(text: string): LogLevel {
  const level = (['debug', 'info', 'warn', 'error'] as const).find((one) => one === text);
  if (level === undefined)
    throw new AppError('BAD_FLAG', { flag: '--log-level', problem: `'${text}' is not debug, info, warn or error` });
  return level;
}

/**
 * The variables of the user's environment that containers get. They are the variables that a program needs to start and
 * to reach the network: home folder, path, npm's settings, proxies, certificates.
 */
const passedOn = new RegExp(
  '^(HOME|PATH|LANG|TZ|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|(HTTPS?|ALL|NO)_PROXY|' +
    String.raw`npm_config_(registry|userconfig|globalconfig|cafile|prefix|@.+:registry|\/\/.+))$`,
  'i',
);

export function machineEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value !== undefined && passedOn.test(name) ? [[name, value]] : [],
    ),
  );
}
