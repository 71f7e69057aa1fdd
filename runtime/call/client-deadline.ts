/**
 * The deadline that a client sets for its request, in a header or in the body.
 *
 * Owns:  one timer, and the promise that rejects when the timer fires. The AbortController cancels the request's queued
 *        work.
 * Ends:  `dispose` must be called once the request is answered.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';

export class ClientDeadline {
  readonly #clock: Clock;
  readonly #work: AbortController;
  readonly #beganMs: number;
  readonly #fail: (error: AppError) => void;
  #deadlineMs: number | undefined;
  #callOff: () => void = () => {};
  /**
   * Never resolves. Rejects with REQUEST_EXPIRED when the deadline has passed, or with the error given to `giveUp`.
   */
  readonly expired: Promise<never>;

  /** @param work aborted when the deadline has passed */
  constructor(clock: Clock, work: AbortController) {
    this.#clock = clock;
    this.#work = work;
    this.#beganMs = clock.monotonic();
    const { promise, reject } = Promise.withResolvers<never>();
    // Many requests end before `expired` is awaited; a rejection must not be reported as unhandled.
    promise.catch(() => {});
    this.expired = promise;
    this.#fail = reject;
  }

  /** Milliseconds from the start of the request to its deadline; undefined without a deadline. */
  get givenMs(): number | undefined {
    return this.#deadlineMs === undefined ? undefined : this.#deadlineMs - this.#beganMs;
  }

  /**
   * Sets a deadline, or moves it to an earlier time.
   * @param deadlineMs on the clock's monotonic scale; the earliest of several calls counts; undefined changes nothing
   * @returns the deadline in force
   */
  endBy(deadlineMs: number | undefined): number | undefined {
    if (deadlineMs === undefined || deadlineMs >= (this.#deadlineMs ?? Infinity)) return this.#deadlineMs;
    this.#deadlineMs = deadlineMs;
    this.#callOff();
    this.#callOff = this.#clock.after(deadlineMs - this.#clock.monotonic(), () => this.#expire());
    return deadlineMs;
  }

  dispose(): void {
    this.#callOff();
  }

  /** Ends the request with this error, unless the request has been answered already. */
  giveUp(error: AppError): void {
    this.#fail(error);
    this.#work.abort(error);
  }

  #expire(): void {
    this.giveUp(new AppError('REQUEST_EXPIRED', { waitedMs: this.#clock.monotonic() - this.#beganMs }));
  }
}
