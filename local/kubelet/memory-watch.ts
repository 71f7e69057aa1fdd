/**
 * Enforces memory limits without control groups: measures memory every 100 ms, and kills containers that exceed their
 * limit.
 * Owns: which memory counts, namely anonymous memory, shared memory and swap of all processes of the container.
 * Why: /proc/PID/status can be read fast, but it counts a shared page in every process. When the sum of these numbers
 * exceeds the limit, the exact but slow smaps_rollup is read.
 * Limits: memory that is allocated and freed within 100 ms may not be measured.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import { killGroup } from './process-records.ts';

const lookEveryMs = 100;
/** Only every fifth measurement looks for new child processes, because this reads all of /proc. */
const listEvery = 5;

type Watched = {
  readonly pid: number;
  readonly limitBytes: number;
  readonly onOver: (usedBytes: number) => void;
  members: readonly number[];
};

export class MemoryWatch {
  readonly #clock: Clock;
  readonly #watched = new Map<number, Watched>();
  #stop: (() => void) | undefined;
  #looks = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param pid the leader of the container's process group
   * @param onOver called once, after the group was killed
   * @returns a function that ends the watch
   */
  watch(pid: number, limitBytes: number, onOver: (usedBytes: number) => void): () => void {
    this.#watched.set(pid, { pid, limitBytes, onOver, members: [pid] });
    this.#stop ??= this.#clock.after(lookEveryMs, () => this.#look());
    return () => this.#watched.delete(pid);
  }

  close(): void {
    this.#stop?.();
    this.#watched.clear();
  }

  #look(): void {
    this.#looks += 1;
    const groups = this.#looks % listEvery === 1 ? groupMembers() : undefined;
    for (const one of this.#watched.values()) {
      if (groups !== undefined) one.members = groups.get(one.pid) ?? [one.pid];
      if (total(one.members, 'status', residentBytes) <= one.limitBytes) continue;
      const used = total(one.members, 'smaps_rollup', chargedBytes);
      if (used <= one.limitBytes) continue;
      this.#watched.delete(one.pid);
      killGroup(one.pid, 'SIGKILL');
      one.onOver(used);
    }
    this.#stop = this.#watched.size === 0 ? undefined : this.#clock.after(lookEveryMs, () => this.#look());
  }
}

/** @returns for each process group, the processes in /proc that are its members */
function groupMembers(): ReadonlyMap<number, readonly number[]> {
  const groups = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const group = groupOf(name);
    if (group === undefined) continue;
    const members = groups.get(group) ?? [];
    members.push(Number(name));
    groups.set(group, members);
  }
  return groups;
}

function groupOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(') ') + 2).split(' ')[2]);
  } catch {
    return undefined;
  }
}

function total(pids: readonly number[], file: string, bytesOf: (text: string) => number): number {
  let sum = 0;
  for (const pid of pids) {
    try {
      sum += bytesOf(readFileSync(`/proc/${pid}/${file}`, 'utf8'));
    } catch {
      // The process ended between two measurements.
    }
  }
  return sum;
}

/**
 * @param status the text of /proc/PID/status
 * @returns a number that is at least the result of chargedBytes for the same process
 */
export function residentBytes(status: string): number {
  return sumOf(status, ['RssAnon', 'RssShmem', 'VmSwap']);
}

/**
 * @param rollup the text of /proc/PID/smaps_rollup. It divides a shared page among its processes, so a sum over
 * processes is correct
 */
export function chargedBytes(rollup: string): number {
  return sumOf(rollup, ['Pss_Anon', 'Pss_Shmem', 'SwapPss']);
}

function sumOf(text: string, fields: readonly string[]): number {
  return (
    fields.reduce((sum, field) => sum + Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0), 0) *
    1024
  );
}
