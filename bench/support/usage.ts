/**
 * CPU time and memory of processes, from /proc (Linux).
 * Owns: parsing the texts of /proc. A process that has ended counts as 0.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux reports CPU time in hundredths of a second (USER_HZ) on every architecture that Node runs on. */
const ticksPerSecond = 100;

export type Usage = {
  readonly cpuSeconds: number;
  /** The current resident memory, in MiB. */
  readonly rssMiB: number;
  /** The highest resident memory so far, in MiB. */
  readonly peakMiB: number;
};

/** The sum of the usage of several processes. */
export function usageOf(pids: readonly number[]): Usage {
  const parts = pids.map((pid) => ({
    cpuSeconds: cpuSecondsIn(read(`/proc/${pid}/stat`)),
    rssMiB: mebibytesIn(read(`/proc/${pid}/status`), 'VmRSS'),
    peakMiB: mebibytesIn(read(`/proc/${pid}/status`), 'VmHWM'),
  }));
  const sum = (field: keyof Usage): number => parts.reduce((total, part) => total + part[field], 0);
  return { cpuSeconds: sum('cpuSeconds'), rssMiB: sum('rssMiB'), peakMiB: sum('peakMiB') };
}

/**
 * The ids of the processes in a session: the leader, and all processes that the leader has started. Processes that
 * began a session of their own are not included.
 */
export function sessionOf(leader: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && sessionIn(read(`/proc/${name}/stat`)) === leader)
    .map(Number);
}

/**
 * A process and all processes below it, and all processes of its session. A server whose workers have sessions of their
 * own is complete in this list as long as none of its parents has ended.
 */
export function treeOf(root: number): readonly number[] {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), stat: read(`/proc/${name}/stat`) }));
  return treeIn(
    root,
    stats.map(({ pid, stat }) => ({ pid, parent: parentIn(stat), session: sessionIn(stat) })),
  );
}

/** The processes of the tree and the session of `root`. Pure. */
export function treeIn(
  root: number,
  processes: readonly {
    readonly pid: number;
    readonly parent: number | undefined;
    readonly session: number | undefined;
  }[],
): readonly number[] {
  const found = new Set(processes.filter(({ pid, session }) => pid === root || session === root).map(({ pid }) => pid));
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of processes) if (parent !== undefined && found.has(parent)) found.add(pid);
  }
  return [...found];
}

/** User and system time of several processes, in seconds. */
export function cpuSecondsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsIn(read(`/proc/${pid}/stat`)), 0);
}

/** Memory without a file behind it, of several processes, in MiB. */
export function anonymousMiBOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + mebibytesIn(read(`/proc/${pid}/status`), 'RssAnon'), 0);
}

/** User and system time of a `/proc/PID/stat`, in seconds. 0 for an empty text. */
export function cpuSecondsIn(stat: string): number {
  const fields = fieldsAfterName(stat);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
}

/** The session id in a `/proc/PID/stat`; undefined for an empty text. */
export function sessionIn(stat: string): number | undefined {
  const session = fieldsAfterName(stat)[3];
  return session === undefined ? undefined : Number(session);
}

/** When a process began, in ticks since the machine's start; undefined for an empty text. */
export function startedIn(stat: string): number | undefined {
  const started = fieldsAfterName(stat)[19];
  return started === undefined ? undefined : Number(started);
}

/**
 * When a process began; undefined when it has ended. The id and this time identify a process, even if the id is reused.
 */
export function startOf(pid: number): number | undefined {
  return startedIn(read(`/proc/${pid}/stat`));
}

/** The id of the parent in a `/proc/PID/stat`; undefined for an empty text. */
export function parentIn(stat: string): number | undefined {
  const parent = fieldsAfterName(stat)[1];
  return parent === undefined ? undefined : Number(parent);
}

/** The value of a field in a `/proc/PID/status`, in MiB; 0 when the field is missing. */
export function mebibytesIn(status: string, field: 'VmRSS' | 'VmHWM' | 'RssAnon'): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) / 1024;
}

/**
 * The fields after the process name, which is in parentheses. Search for the last parenthesis, because the name itself
 * may contain spaces and parentheses, as in `12 (a) b) S 1 12 12 …`.
 */
function fieldsAfterName(stat: string): readonly string[] {
  const end = stat.lastIndexOf(')');
  return end < 0 ? [] : stat.slice(end + 2).split(' ');
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
