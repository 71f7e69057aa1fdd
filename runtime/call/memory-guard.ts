/**
 * Keeps the process below its memory limit.
 *
 * Owns:   reading anonymous memory. Mapped weights are not counted, because the kernel can drop those pages.
 * Limits: above 85 % of the limit a worker is recycled; above 93 % requests are refused with MEMORY_FULL. The remaining
 *         7 % is a reserve for growth between two readings.
 */
import { readFile } from 'node:fs/promises';
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';

export type MemoryReading = {
  readonly limitBytes: number | null;
  readonly anonymousBytes: number;
  readonly peakBytes: number;
};

export type MemoryGuardDeps = {
  /** Memory limit of the process; undefined when memory is not limited. */
  readonly limitBytes: number | undefined;
  readonly recycle: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Returns the text of /proc/self/status; tests inject another source. */
  readonly read?: (() => Promise<string>) | undefined;
};

const recycleShare = 0.85;
const refuseShare = 0.93;
const calmMs = 1000;
/** Milliseconds between two readings while memory is above `recycleShare`, because memory may then grow quickly. */
const tenseMs = 200;
/**
 * Minimum milliseconds between two recyclings. A recycled worker needs this long to free its memory. Until then, it is
 * unknown whether another worker must be recycled.
 */
const betweenRecyclesMs = 20_000;

export class MemoryGuard {
  readonly #deps: MemoryGuardDeps;
  #anonymousBytes = 0;
  #peakBytes = 0;
  #recycledAtMs = -Infinity;
  #refusing = false;

  constructor(deps: MemoryGuardDeps) {
    this.#deps = deps;
  }

  get reading(): MemoryReading {
    return {
      limitBytes: this.#deps.limitBytes ?? null,
      anonymousBytes: this.#anonymousBytes,
      peakBytes: this.#peakBytes,
    };
  }

  /** Whether new requests are refused. */
  get refusing(): boolean {
    return this.#refusing;
  }

  /** Reads memory at intervals until the signal is aborted. */
  async watch(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.look();
      await this.#deps.clock.sleep(this.#share() > recycleShare ? tenseMs : calmMs, stop);
    }
  }

  /** @throws AppError MEMORY_FULL */
  admit(): void {
    const { limitBytes } = this.#deps;
    if (this.#refusing && limitBytes !== undefined)
      throw new AppError('MEMORY_FULL', { anonymousBytes: this.#anonymousBytes, limitBytes });
  }

  /** Reads anonymous memory once; undefined when it cannot be read. */
  async anonymousBytes(): Promise<number | undefined> {
    const { read = readStatus } = this.#deps;
    return parseAnonymousBytes(await read().catch(() => ''));
  }

  /** Reads memory once, decides whether new requests are refused, and recycles a worker if needed. */
  async look(): Promise<void> {
    const { clock, recycle, logger } = this.#deps;
    const bytes = await this.anonymousBytes();
    if (bytes === undefined) return;
    this.#anonymousBytes = bytes;
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
    const share = this.#share();
    if (share > refuseShare !== this.#refusing) {
      this.#refusing = share > refuseShare;
      logger.warn(this.#refusing ? 'memory is low, refusing requests' : 'memory was freed, accepting requests', {
        ...this.reading,
      });
    }
    if (share <= recycleShare || clock.monotonic() - this.#recycledAtMs < betweenRecyclesMs) return;
    this.#recycledAtMs = clock.monotonic();
    logger.info('replacing a worker to free memory', { ...this.reading });
    recycle();
  }

  #share(): number {
    return this.#deps.limitBytes === undefined ? 0 : this.#anonymousBytes / this.#deps.limitBytes;
  }
}

function readStatus(): Promise<string> {
  return readFile('/proc/self/status', 'utf8');
}

/**
 * Reads RssAnon, which is a counter in the kernel. `Anonymous` in smaps_rollup has the same value, but the kernel walks
 * every page of the process to compute it, which takes 20 ms of CPU time per gigabyte.
 *
 * @returns undefined when the text has no line RssAnon
 */
export function parseAnonymousBytes(status: string): number | undefined {
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
