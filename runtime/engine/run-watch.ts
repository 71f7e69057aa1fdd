/**
 * Watches how long runs take. A run of ONNX Runtime cannot be stopped, so a run that does not end blocks its worker
 * forever.
 *
 * Owns:   the start of every run in progress, the longest run of the warm-up, and the resulting limit.
 * Limits: a run may take max(`leastMs`, 10 × the longest run of the warm-up).
 */
import type { Clock } from '../../lib/clock.ts';
import type { Engine, Sequences } from './port.ts';

const factor = 10;

export class RunWatch {
  readonly #clock: Clock;
  readonly #leastMs: number;
  readonly #begins = new Set<{ readonly atMs: number }>();
  #longestMs = 0;
  #learning = true;

  /** @param leastMs lower bound of the limit */
  constructor(clock: Clock, leastMs: number) {
    this.#clock = clock;
    this.#leastMs = leastMs;
  }

  /** Returns the same engine, except that its runs and steps are watched. */
  watched(engine: Engine): Engine {
    const sequences = this.#watchedSequences(engine.sequences);
    return {
      sequences,
      get freeSlots() {
        return engine.freeSlots;
      },
      get workers() {
        return engine.workers;
      },
      onFree: (listener) => engine.onFree(listener),
      run: (batch) => this.#watch(() => engine.run(batch)),
      recycle: () => engine.recycle(),
      close: () => engine.close(),
    };
  }

  /** Call at the end of the warm-up. Later runs do not change the limit any more. */
  warmed(): void {
    this.#learning = false;
  }

  /** How long a run may take, in milliseconds. */
  get limitMs(): number {
    return Math.max(this.#leastMs, factor * this.#longestMs);
  }

  /** Age of the oldest run in progress, in milliseconds; 0 when no run is in progress. */
  get oldestMs(): number {
    // A Set iterates in insertion order.
    const [first] = this.#begins;
    return first === undefined ? 0 : this.#clock.monotonic() - first.atMs;
  }

  /**
   * How long all workers have been in their current runs: the age of the youngest run, or 0 while a worker is free.
   * Under load all workers are always busy, but their runs keep changing.
   * @param workers number of workers with a loaded model
   */
  stuckMs(workers: number): number {
    if (this.#begins.size === 0 || this.#begins.size < workers) return 0;
    let youngestMs = -Infinity;
    for (const { atMs } of this.#begins) youngestMs = Math.max(youngestMs, atMs);
    return this.#clock.monotonic() - youngestMs;
  }

  #watchedSequences(sequences: Sequences): Sequences {
    return {
      get usage() {
        return sequences.usage;
      },
      isFree: (slot) => sequences.isFree(slot),
      onLost: (listener) => sequences.onLost(listener),
      open: (needs) => sequences.open(needs),
      step: (steps) => this.#watch(() => sequences.step(steps)),
      close: (sequence) => sequences.close(sequence),
    };
  }

  async #watch<T>(run: () => Promise<T>): Promise<T> {
    const begin = { atMs: this.#clock.monotonic() };
    this.#begins.add(begin);
    try {
      return await run();
    } finally {
      this.#begins.delete(begin);
      if (this.#learning) this.#longestMs = Math.max(this.#longestMs, this.#clock.monotonic() - begin.atMs);
    }
  }
}
