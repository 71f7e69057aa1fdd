/**
 * How far the server has come: loading, warming, ready, draining.
 *
 * Owns:  the state that every probe and every admission looks at.
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
/** How the runs are doing (engine/run-watch.ts). */
export type RunsSeen = {
  /** How long every worker has been in the run that it is in; 0 while one is free. */
  readonly stuckMs: number;
  /** A longer run is taken for one that does not end. */
  readonly limitMs: number;
};

/** A worker that failed is replaced within seconds. With none for this long, only a new process can help. */
const withoutWorkersMs = 60_000;

export class Readiness {
  readonly #clock: Clock;
  readonly #workers: () => { readonly ready: number };
  readonly #runs: () => RunsSeen;
  #state: State = 'Loading';
  #startedUp = false;
  #lostAtMs: number | undefined;

  /** @param workers asked once there are any */
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

  /** Requests are welcome. */
  get ready(): boolean {
    return this.#state === 'Ready' && this.#workers().ready > 0 && !this.stuck;
  }

  /** Every worker has been in one run for longer than a run may take. */
  get stuck(): boolean {
    const { stuckMs, limitMs } = this.#runs();
    return this.#startedUp && stuckMs > limitMs;
  }

  /** The model was loaded and warmed once; stays true. */
  get startedUp(): boolean {
    return this.#startedUp;
  }

  /** Whoever asks gets an answer, so the event loop turns; what may be dead are the workers. */
  get alive(): boolean {
    return !this.#isHopeless && this.#hasWorkers;
  }

  /** Twice the time after which readiness went: the runs do not end, and only a new process can help. */
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

  /** In words, for people. */
  get reason(): string {
    if (this.stuck) return stuckWords(this.#runs());
    return this.#state === 'Ready' && this.#workers().ready === 0
      ? 'every worker is being replaced'
      : words[this.#state];
  }

  /**
   * Lets requests in. While draining they still are: until the sockets close, clients may not know yet.
   * @throws AppError NOT_READY
   */
  admit(): void {
    if (!this.#startedUp || this.stuck) throw new AppError('NOT_READY', { state: this.reason });
  }
}

function stuckWords({ stuckMs, limitMs }: RunsSeen): string {
  return (
    `every worker has been in one run for ${Math.round(stuckMs / 1000)} s, the limit is ` +
    `${Math.round(limitMs / 1000)} s`
  );
}
