/**
 * The deadline that a client gives its request, in a header or in the body.
 *
 * Owns:  one timer and the promise that fails when it fires. What the request has in work is called off by the signal.
 * Ends:  `dispose` once the request is answered.
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
   * Never resolves; rejects with REQUEST_EXPIRED when the deadline has come, or with what the request was given up for.
   */
  readonly expired: Promise<never>;

  /** @param work aborted when the deadline has come */
  constructor(clock: Clock, work: AbortController) {
    this.#clock = clock;
    this.#work = work;
    this.#beganMs = clock.monotonic();
    const { promise, reject } = Promise.withResolvers<never>();
    // Most requests end before anybody looks at it.
    promise.catch(() => {});
    this.expired = promise;
    this.#fail = reject;
  }

  /** Milliseconds that the client gave from its first header on; undefined without a deadline. */
  get givenMs(): number | undefined {
    return this.#deadlineMs === undefined ? undefined : this.#deadlineMs - this.#beganMs;
  }

  /**
   * @param deadlineMs on the clock's monotonic scale; of several the earliest counts; undefined adds none
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

  /** Ends the request with this error, unless it is answered already. */
  giveUp(error: AppError): void {
    this.#fail(error);
    this.#work.abort(error);
  }

  #expire(): void {
    this.giveUp(new AppError('REQUEST_EXPIRED', { waitedMs: this.#clock.monotonic() - this.#beganMs }));
  }
}
