/**
 * Watches how long runs take: a run of ONNX Runtime cannot be stopped, and one that does not end holds its worker for
 * good.
 *
 * Owns:  the begin of every run under way, the longest run of the warm-up, and the limit that follows from it.
 * Limits: a run may take max(`leastMs`, 10 × the longest of the warm-up).
 */
import type { Clock } from '../../lib/clock.ts';
import type { Engine, EngineBatch, EngineResult } from './port.ts';

const factor = 10;

export class RunWatch {
  readonly #clock: Clock;
  readonly #leastMs: number;
  readonly #begins = new Set<{ readonly atMs: number }>();
  #longestMs = 0;
  #learning = true;

  /** @param leastMs a run may always take this long */
  constructor(clock: Clock, leastMs: number) {
    this.#clock = clock;
    this.#leastMs = leastMs;
  }

  /** The same engine, with its runs under watch. */
  watched(engine: Engine): Engine {
    return {
      get freeSlots() {
        return engine.freeSlots;
      },
      get workers() {
        return engine.workers;
      },
      onFree: (listener) => engine.onFree(listener),
      run: (batch) => this.#run(engine, batch),
      recycle: () => engine.recycle(),
      close: () => engine.close(),
    };
  }

  /** The warm-up is over: its longest run decides from now on. */
  warmed(): void {
    this.#learning = false;
  }

  /** What a run may take, in milliseconds. */
  get limitMs(): number {
    return Math.max(this.#leastMs, factor * this.#longestMs);
  }

  /** Age of the oldest run under way, in milliseconds; 0 without one. */
  get oldestMs(): number {
    return this.#ageOf(([first]) => first);
  }

  /**
   * How long every worker has been in the run that it is in: the age of the youngest run; 0 while a worker is free.
   * Under load every worker is always busy, but with a new run each time.
   * @param workers those with a loaded model
   */
  stuckMs(workers: number): number {
    return this.#begins.size === 0 || this.#begins.size < workers ? 0 : this.#ageOf((begins) => begins.at(-1));
  }

  /** Sets keep the order in which runs began. */
  #ageOf(choose: (begins: readonly { readonly atMs: number }[]) => { readonly atMs: number } | undefined): number {
    const chosen = choose([...this.#begins]);
    return chosen === undefined ? 0 : this.#clock.monotonic() - chosen.atMs;
  }

  async #run(engine: Engine, batch: EngineBatch): Promise<EngineResult> {
    const begin = { atMs: this.#clock.monotonic() };
    this.#begins.add(begin);
    try {
      return await engine.run(batch);
    } finally {
      this.#begins.delete(begin);
      if (this.#learning) this.#longestMs = Math.max(this.#longestMs, this.#clock.monotonic() - begin.atMs);
    }
  }
}
