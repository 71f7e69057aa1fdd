/**
 * The deadline that a client sets for its request, in a header or in the body.
 *
 * Owns:  one timer, which exists while there is a deadline. The AbortController cancels the request's queued work.
 * Ends:  `dispose` must be called once the request is answered.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';

export class ClientDeadline {
  readonly #clock: Clock;
  readonly #work: { readonly ending: AbortController };
  readonly #beganMs: number;
  readonly #fail: (error: AppError) => void;
  #deadlineMs: number | undefined;
  #callOff: (() => void) | undefined;

  /**
   * @param work its AbortController is aborted when the deadline has passed
   * @param fail called then with REQUEST_EXPIRED, or with the error given to `giveUp`
   */
  constructor(clock: Clock, work: { readonly ending: AbortController }, fail: (error: AppError) => void) {
    this.#clock = clock;
    this.#work = work;
    this.#beganMs = clock.monotonic();
    this.#fail = fail;
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
    this.#callOff?.();
    this.#callOff = this.#clock.after(deadlineMs - this.#clock.monotonic(), () => this.#expire());
    return deadlineMs;
  }

  dispose(): void {
    this.#callOff?.();
  }

  /** Ends the request with this error, unless the request has been answered already. */
  giveUp(error: AppError): void {
    this.#work.ending.abort(error);
    this.#fail(error);
  }

  #expire(): void {
    this.giveUp(new AppError('REQUEST_EXPIRED', { waitedMs: this.#clock.monotonic() - this.#beganMs }));
  }
}
