/**
 * The highest memory use of a process and its descendants, measured while they run.
 * Owns: reading /proc. Memory is the proportional set size, which counts a shared page only once.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { Clock } from '../../lib/clock.ts';

const everyMs = 500;

export class Footprint {
  readonly #root: number;
  readonly #stopped = new AbortController();
  readonly #done: Promise<void>;
  #peakBytes = 0;

  /** Starts to measure twice a second, until `stop`. */
  constructor(root: number, clock: Clock) {
    this.#root = root;
    this.#done = this.#watch(clock);
  }

  /** Stops measuring. @returns the highest sum over all processes, in bytes */
  async stop(): Promise<number> {
    this.#stopped.abort();
    await this.#done;
    return this.#peakBytes;
  }

  async #watch(clock: Clock): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      this.#peakBytes = Math.max(this.#peakBytes, await treeBytes(this.#root));
      await clock.sleep(everyMs, this.#stopped.signal);
    }
  }
}

async function treeBytes(root: number): Promise<number> {
  const parents = await parentsOfAll();
  const tree = [root];
  // The list grows during the loop, so the children of children are found as well.
  for (const pid of tree) tree.push(...[...parents].filter(([, parent]) => parent === pid).map(([child]) => child));
  const sizes = await Promise.all(tree.map(proportionalBytes));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

async function parentsOfAll(): Promise<ReadonlyMap<number, number>> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  // The state and the parent's id come after the program's name. The name is in brackets and may contain any character.
  return new Map(
    stats.flatMap((stat) => {
      const [, pid, parent] = /^(\d+) .*\) \S (\d+)/s.exec(stat) ?? [];
      return pid === undefined ? [] : [[Number(pid), Number(parent)] as const];
    }),
  );
}

async function proportionalBytes(pid: number): Promise<number> {
  // When a process has ended or belongs to another user, its file cannot be read.
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
}
