/**
 * The operator's configuration, read once from flags and environment, then frozen.
 *
 * Terms: A shard is the part of the models that one of several operators handles, by a hash of namespace and name.
 * Owns: the flags, their defaults, and the error messages for wrong values. In operator/, only the start of the process
 * (main.ts, operate.ts) also reads process.argv or process.env.
 */
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { AppError } from '../api/errors.ts';
import { localRuntimeImage } from '../api/names.ts';
import { present } from '../api/present.ts';
import { parseDurationMs } from '../api/units.ts';
import type { LogLevel } from '../lib/log.ts';
import { parseOnlyFlags } from '../lib/flags.ts';
import type { Shard } from '../kube/controller/shard.ts';
import type { ThrottleLimits } from '../kube/client/throttle.ts';

export type OperatorConfig = {
  readonly kubeconfig?: string;
  /** The only namespace whose models are watched. If absent, all namespaces are watched. */
  readonly namespace?: string;
  /** The shard whose models this process handles. If there is one shard, the process handles all models. */
  readonly shard: Shard;
  /** Namespace of the Lease. */
  readonly leaseNamespace: string;
  readonly leaderElection: boolean;
  /** Identifies this process in the Lease. */
  readonly identity: string;
  readonly runtimeImage: string;
  readonly serviceAddress: 'DNS' | 'ClusterIP';
  readonly settleMs: number;
  readonly workers: number;
  /**
   * The limit that the operator sets itself for its requests to the API server. Requests for its Lease do not count.
   * With qps 0 there is no limit.
   */
  readonly apiLimits: ThrottleLimits;
  /** Address of /metrics, /healthz and /readyz. If absent, these paths are not served. */
  readonly listen?: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
};

const defaultWorkers = 8;
/**
 * Upper bound of the number of shards. It limits the requests of a process that waits to become the leader: every two
 * seconds, this process may read one Lease for each shard.
 */
const maxShards = 64;
const maxQps = 10_000;

export const operatorHelp = `Usage: npm run operator -- --runtime-image IMAGE [options]

Watches OnnxModels and runs the pods that serve them. Runs outside a cluster with a kubeconfig, or in a pod with its
service account.

  --kubeconfig FILE         kubeconfig (default: $KUBECONFIG, ~/.kube/config, then the pod's service account)
  --namespace NS            watch only models of this namespace (default: all namespaces)
  --runtime-image IMAGE     image of the model server, for revisions whose spec does not name one; required.
                            "npm run image" builds it (docs/images.md)
  --service-address WAY     host in status.address.url: the entry Service's DNS or ClusterIP (default: DNS)
  --settle DURATION         how long a replaced revision keeps its pods after its traffic has ended (default: 10s)
  --lease-namespace NS      namespace of the leader's Lease (default: the pod's namespace, --namespace, or "default")
  --no-leader-election      do not use a Lease; only safe while a single replica runs
  --shard I/N               handle only the models of shard I of N, with I from 0 to N-1 and N up to 64: those whose
                            namespace/name hashes to I (default: 0/1, all models); each shard has a Lease of its own,
                            and operators with another N wait until all present leaders have ended
  --listen HOST:PORT        address of /metrics, /healthz and /readyz (default: 127.0.0.1:8083; "off": not served)
  --max-concurrent-reconciles N
                            number of models reconciled at the same time, 1 to 256 (default: 8); --workers is the same
  --kube-api-qps N          requests to the API server a second, on average, 0 to 10000 (default: 0, no limit: the API
                            server's priority and fairness decides, and the operator obeys its 429 and Retry-After)
  --kube-api-burst N        requests that may be sent at once after a pause, 1 to 10000 (default: twice --kube-api-qps)
  --log-level LEVEL         debug, info, warn or error (default: info)
  --help                    print this text

Exit codes: 0 ended by a signal, 1 internal error, 2 wrong flags or configuration, 3 leadership lost.
The operator retries without limit while the API server cannot be reached.
`;

const options = {
  kubeconfig: { type: 'string' },
  namespace: { type: 'string' },
  'runtime-image': { type: 'string' },
  'service-address': { type: 'string', default: 'DNS' },
  settle: { type: 'string', default: '10s' },
  'lease-namespace': { type: 'string' },
  'no-leader-election': { type: 'boolean', default: false },
  shard: { type: 'string', default: '0/1' },
  listen: { type: 'string', default: '127.0.0.1:8083' },
  'max-concurrent-reconciles': { type: 'string' },
  workers: { type: 'string' },
  'kube-api-qps': { type: 'string', default: '0' },
  'kube-api-burst': { type: 'string' },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', default: false },
} as const;

/** @returns 'help' when --help was given. @throws AppError BAD_FLAG, FILE_UNREADABLE */
export function readOperatorConfig(argv: readonly string[]): OperatorConfig | 'help' {
  const flags = parseOnlyFlags('command line', argv, options);
  if (flags.help) return 'help';
  return Object.freeze({
    ...present({ kubeconfig: readable(flags.kubeconfig), namespace: flags.namespace, listen: listenAt(flags.listen) }),
    leaseNamespace: flags['lease-namespace'] ?? podNamespace() ?? flags.namespace ?? 'default',
    shard: shardOf(flags.shard),
    leaderElection: !flags['no-leader-election'],
    identity: `${process.env['POD_NAME'] ?? hostname()}_${crypto.randomUUID()}`,
    runtimeImage: imageOf(flags['runtime-image']),
    serviceAddress: choice('--service-address', flags['service-address'], ['DNS', 'ClusterIP']),
    settleMs: duration('--settle', flags.settle),
    workers: workersOf(flags),
    apiLimits: apiLimitsOf(flags['kube-api-qps'], flags['kube-api-burst']),
    logLevel: choice('--log-level', flags['log-level'], ['debug', 'info', 'warn', 'error']),
  });
}

/** There is no default: this image is not published, so pods could not pull it. */
function imageOf(text: string | undefined): string {
  const flag = '--runtime-image';
  if (text === undefined)
    throw new AppError('BAD_FLAG', {
      flag,
      problem:
        'is missing: it names the image of the model server, which has to be in a registry of yours. To build it: ' +
        'npm run image -- --out runtime.tar --tag REGISTRY/onnx-runtime:TAG, then push it: ' +
        'skopeo copy oci-archive:runtime.tar docker://REGISTRY/onnx-runtime:TAG (docs/images.md). In local mode: ' +
        `--runtime-image ${localRuntimeImage}`,
    });
  if (!/^[\w.:/@-]{1,512}$/.test(text))
    throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not the name of an image` });
  return text;
}

/**
 * Throws when the file of a path does not exist. Without this check, a mistyped path would later look like a failed
 * connection.
 */
function readable(path: string | undefined): string | undefined {
  if (path !== undefined && !existsSync(path)) throw new AppError('FILE_UNREADABLE', { path, why: 'no such file' });
  return path;
}

function podNamespace(): string | undefined {
  const file = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

function shardOf(text: string): Shard {
  const [, index, of] = /^(\d{1,2})\/(\d{1,2})$/.exec(text) ?? [];
  if (index === undefined || Number(of) < 1 || Number(of) > maxShards || Number(index) >= Number(of))
    throw new AppError('BAD_FLAG', {
      flag: '--shard',
      problem: `'${text}' is not I/N with I from 0 to N-1 and N from 1 to ${maxShards}`,
    });
  return { index: Number(index), of: Number(of) };
}

function choice<const V extends string>(flag: string, value: string, allowed: readonly V[]): V {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined)
    throw new AppError('BAD_FLAG', { flag, problem: `'${value}' is not one of ${allowed.join(', ')}` });
  return found;
}

function duration(flag: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined)
    throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a duration such as 500ms, 10s or 1m30s` });
  return ms;
}

type WorkerFlags = { readonly 'max-concurrent-reconciles'?: string; readonly workers?: string };

function workersOf({ 'max-concurrent-reconciles': named, workers }: WorkerFlags): number {
  if (named !== undefined && workers !== undefined)
    throw new AppError('BAD_FLAG', { flag: '--workers', problem: 'is another name of --max-concurrent-reconciles' });
  return named === undefined
    ? count('--workers', workers ?? String(defaultWorkers), { least: 1, most: 256 })
    : count('--max-concurrent-reconciles', named, { least: 1, most: 256 });
}

function apiLimitsOf(qpsText: string, burstText: string | undefined): ThrottleLimits {
  const qps = count('--kube-api-qps', qpsText, { least: 0, most: maxQps });
  if (burstText === undefined) return { qps, burst: Math.max(1, 2 * qps) };
  if (qps === 0) throw new AppError('BAD_FLAG', { flag: '--kube-api-burst', problem: 'needs --kube-api-qps' });
  return { qps, burst: count('--kube-api-burst', burstText, { least: 1, most: maxQps }) };
}

function count(flag: string, text: string, { least, most }: { readonly least: number; readonly most: number }): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a number from ${least} to ${most}` });
  return value;
}

function listenAt(text: string): { readonly host: string; readonly port: number } | undefined {
  if (text === 'off') return undefined;
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(text) ?? [];
  if (host === '' || Number(port) > 65535)
    throw new AppError('BAD_FLAG', { flag: '--listen', problem: `'${text}' is not HOST:PORT or off` });
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}
