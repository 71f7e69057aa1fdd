/**
 * The state of the server: loading, warming, ready, draining.
 *
 * Owns:  the state, and the answers to the startup, readiness and liveness probes.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';

export type State = 'Loading' | 'Warming' | 'Ready' | 'Draining';

const words: Readonly<Record<State, string>> = {
  Loading: 'loading the model',
  Warming: 'warming up',
  Ready: 'ready',
  Draining: 'shutting down',
};
/** Durations of the active runs (engine/run-watch.ts). */
export type RunsSeen = {
  /** Age of the youngest active run if every worker has an active run; 0 while a worker is free. */
  readonly stuckMs: number;
  /** A run that takes longer is treated as stuck. */
  readonly limitMs: number;
};

/**
 * If no worker has been ready for this long, the process must be restarted. A failed worker is usually replaced within
 * seconds.
 */
const withoutWorkersMs = 60_000;

export class Readiness {
  readonly #clock: Clock;
  readonly #workers: () => { readonly ready: number };
  readonly #runs: () => RunsSeen;
  #state: State = 'Loading';
  #startedUp = false;
  #lostAtMs: number | undefined;

  /** @param workers reads the number of ready workers; not called before the state was Ready */
  constructor(
    clock: Clock,
    workers: () => { readonly ready: number },
    runs: () => RunsSeen = () => ({ stuckMs: 0, limitMs: Infinity }),
  ) {
    this.#clock = clock;
    this.#workers = workers;
    this.#runs = runs;
  }

  get state(): State {
    return this.#state;
  }

  moveTo(state: State): void {
    this.#state = state;
    if (state === 'Ready') this.#startedUp = true;
  }

  /** Whether the readiness probe succeeds. */
  get ready(): boolean {
    return this.#state === 'Ready' && this.#workers().ready > 0 && !this.stuck;
  }

  /** True when every worker has been busy with one run for longer than the limit. */
  get stuck(): boolean {
    const { stuckMs, limitMs } = this.#runs();
    return this.#startedUp && stuckMs > limitMs;
  }

  /** Whether the startup probe succeeds: true once the model was loaded and warmed up, and from then on. */
  get startedUp(): boolean {
    return this.#startedUp;
  }

  /**
   * Whether the liveness probe succeeds. Any answer to it shows that the event loop works, so only the workers are
   * checked.
   */
  get alive(): boolean {
    return !this.#isHopeless && this.#hasWorkers;
  }

  /**
   * True when every worker has been busy with one run for more than twice the limit. Readiness fails at the limit.
   * Liveness fails at twice the limit, because only a restart of the process ends a stuck run.
   */
  get #isHopeless(): boolean {
    const { stuckMs, limitMs } = this.#runs();
    return this.#startedUp && stuckMs > 2 * limitMs;
  }

  get #hasWorkers(): boolean {
    if (!this.#startedUp || this.#workers().ready > 0) {
      this.#lostAtMs = undefined;
      return true;
    }
    this.#lostAtMs ??= this.#clock.monotonic();
    return this.#clock.monotonic() - this.#lostAtMs < withoutWorkersMs;
  }

  /** The state in words, for messages. */
  get reason(): string {
    if (this.stuck) return stuckWords(this.#runs());
    return this.#state === 'Ready' && this.#workers().ready === 0
      ? 'every worker is being replaced'
      : words[this.#state];
  }

  /**
   * Admits a request. Requests are still admitted while draining, because load balancers learn of the drain late.
   * @throws AppError NOT_READY
   */
  admit(): void {
    if (!this.#startedUp || this.stuck) throw new AppError('NOT_READY', { state: this.reason });
  }
}

function stuckWords({ stuckMs, limitMs }: RunsSeen): string {
  return (
    `every worker has been in one run for ${Math.round(stuckMs / 1000)} s (limit ` + `${Math.round(limitMs / 1000)} s)`
  );
}
