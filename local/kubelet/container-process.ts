/**
 * One run of a container: a process group with its output, limits and exit.
 * Owns: starting the process in a control group, the exit code as container runtimes report it, and OOMKilled. A shell
 * moves itself into the control group and then executes the program, so that no code of the program runs outside the
 * group.
 * Ends: when the leader of the process group has ended, the other processes of the group are killed. `exited` resolves
 * after that, when the output has ended (see `pump`).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { StringDecoder } from 'node:string_decoder';
import { messageOf } from '../../api/errors.ts';
import type { Cgroups, ContainerGroup, ContainerLimits } from './cgroups.ts';
import type { StreamName } from './container-log.ts';
import type { MemoryWatch } from './memory-watch.ts';
import { killGroup, type ProcessRecords } from './process-records.ts';

export type ProcessDeps = {
  readonly records: ProcessRecords;
  readonly cgroups: Cgroups | undefined;
  readonly memoryWatch: MemoryWatch;
};

export type ProcessOrder = {
  /** The id of the run, which is unique among all runs and a valid folder name. */
  readonly id: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly limits: ContainerLimits;
  readonly onOutput: (stream: StreamName, text: string) => void;
};

export type ProcessEnd = {
  readonly exitCode: number;
  /** The number of the signal that ended the process. */
  readonly signal: number | undefined;
  readonly reason: 'Completed' | 'Error' | 'OOMKilled' | 'StartError';
  /** Why the container could not be started. */
  readonly message?: string;
};

export interface RunningProcess {
  readonly pid: number;
  readonly exited: Promise<ProcessEnd>;
  /** Sends a signal to all processes of the group. */
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
}

/** A shell script that moves the shell into each group whose file is named before `--`, then executes the program. */
const intoGroups = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 127; shift; done; shift; exec "$@"';

/** @returns the running process, or the error that kept it from starting */
export async function startProcess(
  deps: ProcessDeps,
  order: ProcessOrder,
): Promise<RunningProcess | { readonly problem: string }> {
  const group = deps.cgroups?.create(order.id, order.limits);
  const argv =
    group === undefined
      ? order.argv
      : ['/bin/sh', '-c', intoGroups, 'container', ...group.procsFiles, '--', ...order.argv];
  const child = spawn(argv[0] ?? '', argv.slice(1), {
    cwd: order.cwd,
    env: { ...order.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  try {
    await spawned(child);
    deps.records.add(child.pid ?? 0);
  } catch (error) {
    // Kill a process that could not be recorded: without a record it would survive a crash of this process.
    if (child.pid !== undefined) killGroup(child.pid, 'SIGKILL');
    group?.remove();
    return { problem: `failed to create containerd task: ${messageOf(error)}` };
  }
  const { pid = 0 } = child;
  return { pid, exited: follow(deps, order, child, group), signal: (name) => void killGroup(pid, name) };
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
}

async function follow(
  deps: ProcessDeps,
  order: ProcessOrder,
  child: ChildProcess,
  group: ContainerGroup | undefined,
): Promise<ProcessEnd> {
  const { pid = 0 } = child;
  let overLimit = false;
  const { memoryBytes } = order.limits;
  const stopWatch =
    group !== undefined || memoryBytes === undefined
      ? undefined
      : deps.memoryWatch.watch(pid, memoryBytes, () => (overLimit = true));
  const outputs = (['stdout', 'stderr'] as const).map((stream) => pump(child, stream, order.onOutput));
  const [code, signal] = await ended(child);
  stopWatch?.();
  // Kill the other processes of the group: a grandchild may keep the pipes open, and the run would never end.
  killGroup(pid, 'SIGKILL');
  group?.kill();
  await Promise.all(outputs);
  deps.records.remove(pid);
  const oomKilled = overLimit || (group?.oomKills() ?? 0) > 0;
  group?.remove();
  return describeEnd(code, signal, oomKilled);
}

/**
 * How a container ended. After a signal, the exit code is 128 + the signal's number, as in shells. The kernel may have
 * killed only a child process for memory, so the leader's exit code decides the reason: 137 gives OOMKilled, any other
 * code gives Completed or Error.
 */
export function describeEnd(code: number | null, signal: NodeJS.Signals | null, oomKilled: boolean): ProcessEnd {
  const number = signal === null ? undefined : constants.signals[signal];
  const exitCode = code ?? 128 + (number ?? 0);
  if (oomKilled && exitCode === 137) return { exitCode, signal: number, reason: 'OOMKilled' };
  return { exitCode, signal: number, reason: exitCode === 0 ? 'Completed' : 'Error' };
}

function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
}

/**
 * Passes the output on. Resolves when the stream has ended, or a second after the end of the leader: a process outside
 * the group may keep the stream open.
 */
function pump(child: ChildProcess, stream: StreamName, onOutput: ProcessOrder['onOutput']): Promise<void> {
  const source = child[stream];
  if (source === null) return Promise.resolve();
  const decoder = new StringDecoder('utf8');
  source.on('data', (bytes: Buffer) => onOutput(stream, decoder.write(bytes)));
  return new Promise((resolve) => {
    source.once('close', resolve);
    source.once('error', () => resolve());
    child.once('exit', () => setTimeout(() => source.destroy(), 1000).unref());
  });
}
