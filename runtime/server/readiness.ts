/**
 * How far the server has come: loading, warming, ready, draining.
 *
 * Owns:  the state that every probe and every admission looks at.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';

export type State = 'Loading' | 'Warming' | 'Ready' | 'Draining';

const words: Readonly<Record<State, string>> = { Loading: 'loading the model', Warming: 'warming up', Ready: 'ready', Draining: 'shutting down' };
/** A worker that failed is replaced within seconds. With none for this long, only a new process can help. */
const withoutWorkersMs = 60_000;

export class Readiness {
  readonly #clock: Clock;
  readonly #workers: () => { readonly ready: number };
  #state: State = 'Loading';
  #startedUp = false;
  #lostAtMs: number | undefined;

  /** @param workers asked once there are any */
  constructor(clock: Clock, workers: () => { readonly ready: number }) {
    this.#clock = clock;
    this.#workers = workers;
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
    return this.#state === 'Ready' && this.#workers().ready > 0;
  }

  /** The model was loaded and warmed once; stays true. */
  get startedUp(): boolean {
    return this.#startedUp;
  }

  /** Whoever asks gets an answer, so the event loop turns; what may be dead are the workers. */
  get alive(): boolean {
    if (!this.#startedUp || this.#workers().ready > 0) {
      this.#lostAtMs = undefined;
      return true;
    }
    this.#lostAtMs ??= this.#clock.monotonic();
    return this.#clock.monotonic() - this.#lostAtMs < withoutWorkersMs;
  }

  /** In words, for people. */
  get reason(): string {
    return this.#state === 'Ready' && this.#workers().ready === 0 ? 'every worker is being replaced' : words[this.#state];
  }

  /**
   * Lets requests in. While draining they still are: until the sockets close, clients may not know yet.
   * @throws AppError NOT_READY
   */
  admit(): void {
    if (!this.#startedUp) throw new AppError('NOT_READY', { state: this.reason });
  }
}
