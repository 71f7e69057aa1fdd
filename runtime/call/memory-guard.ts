/**
 * Keeps the process under its memory limit: gives memory back while it can, refuses work when it cannot.
 *
 * Owns:  the reading of anonymous memory and what follows from it. Mapped weights are not in it: the kernel may
 *        drop those pages at any time.
 * Limits: above 85 % of the limit a worker is recycled; above 93 % requests are refused with MEMORY_FULL.
 *        The rest is for what happens between two readings.
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
  /** Undefined: nothing to keep to. */
  readonly limitBytes: number | undefined;
  readonly recycle: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Text of /proc/self/status; another source in tests. */
  readonly read?: (() => Promise<string>) | undefined;
};

const recycleShare = 0.85;
const refuseShare = 0.93;
const calmMs = 1000;
/** When it gets tight one looks more often. */
const tenseMs = 200;
/** Twenty seconds: a recycled worker has to show what it gave back before the next one goes. */
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

  /** Whether work is refused. */
  get refusing(): boolean {
    return this.#refusing;
  }

  /** Reads until the signal is aborted. */
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

  /** Reads once; undefined when it cannot be read. */
  async anonymousBytes(): Promise<number | undefined> {
    const { read = readStatus } = this.#deps;
    return parseAnonymousBytes(await read().catch(() => ''));
  }

  /** Reads once and does what follows. */
  async look(): Promise<void> {
    const { clock, recycle, logger } = this.#deps;
    const bytes = await this.anonymousBytes();
    if (bytes === undefined) return;
    this.#anonymousBytes = bytes;
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
    const share = this.#share();
    if (share > refuseShare !== this.#refusing) {
      this.#refusing = share > refuseShare;
      logger.warn(this.#refusing ? 'refusing work, memory is short' : 'memory is back, taking work', {
        ...this.reading,
      });
    }
    if (share <= recycleShare || clock.monotonic() - this.#recycledAtMs < betweenRecyclesMs) return;
    this.#recycledAtMs = clock.monotonic();
    logger.info('recycling a worker to give memory back', { ...this.reading });
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
 * RssAnon is what smaps_rollup calls Anonymous. The kernel keeps it as a counter; the other it finds out by walking
 * every page of the process, which takes a CPU for 20 ms a gigabyte.
 *
 * @returns undefined when the text has no such line
 */
export function parseAnonymousBytes(status: string): number | undefined {
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}
