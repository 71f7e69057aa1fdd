/**
 * The time that one request spends in each stage: decode, queue, infer, encode.
 *
 * Owns:  the time marks and their sums. A failed request only has the stages that it reached.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Trace } from './call.ts';

export const stages = ['decode', 'queue', 'infer', 'encode'] as const;
export type Stage = (typeof stages)[number];
export type StageTimes = Readonly<Partial<Record<Stage, number>>>;

export class RequestTrace implements Trace {
  readonly #clock: Clock;
  #beganMs: number;
  #lastMs: number;
  readonly #times: Partial<Record<Stage, number>> = {};
  /** Size of the request (see Trace.decoded); 0 until the request was decoded. */
  elements = 0;
  /** Output of a streamed answer so far, in the task's unit. */
  units = 0;
  #isShared = false;
  #firstByteMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#beganMs = clock.monotonic();
    this.#lastMs = this.#beganMs;
  }

  /**
   * Restarts the clock when the body has arrived in full: the time that the client takes to send the body is not
   * counted.
   */
  received(): void {
    this.#beganMs = this.#clock.monotonic();
    this.#lastMs = this.#beganMs;
  }

  decoded(elements: number): void {
    this.elements = elements;
    this.#times.decode = this.#lap();
  }

  inferred({
    queueMs,
    inferMs,
    isShared = false,
  }: {
    readonly queueMs: number;
    readonly inferMs: number;
    readonly isShared?: boolean;
  }): void {
    this.#isShared = isShared;
    this.#times.queue = queueMs;
    this.#times.infer = inferMs;
    this.#lap();
  }

  produced(units: number): void {
    this.units += units;
  }

  /** Called at the first chunk of a streamed answer. */
  began(): void {
    this.#firstByteMs = this.totalMs;
  }

  /**
   * Milliseconds until the first chunk of a streamed answer; undefined before the first chunk, and for an answer that
   * is not streamed.
   */
  get firstByteMs(): number | undefined {
    return this.#firstByteMs;
  }

  /** Called when the answer is encoded, before it is sent. */
  encoded(): void {
    if (this.#times.infer !== undefined) this.#times.encode = this.#lap();
    else this.#times.decode ??= this.#lap();
  }

  get times(): StageTimes {
    return this.#times;
  }

  /** Milliseconds since the request arrived in full. */
  get totalMs(): number {
    return this.#clock.monotonic() - this.#beganMs;
  }

  /**
   * Milliseconds of work on this request without the time in the queue; undefined when the request did not run, or
   * shared its run with other requests.
   */
  get serviceMs(): number | undefined {
    const { decode = 0, infer, encode = 0 } = this.#times;
    return infer === undefined || this.#isShared ? undefined : decode + infer + encode;
  }

  #lap(): number {
    const now = this.#clock.monotonic();
    const ms = now - this.#lastMs;
    this.#lastMs = now;
    return ms;
  }
}

/** The `Server-Timing` header; its standard prescribes milliseconds. */
export function serverTiming({ decode, queue, infer, encode }: StageTimes): string {
  return (
    `decode;dur=${millis(decode)}, queue;dur=${millis(queue)}, infer;dur=${millis(infer)}, ` +
    `encode;dur=${millis(encode)}`
  );
}

/** Gives the same text as toFixed(3), several times faster. */
function millis(ms = 0): string {
  const micros = Math.round(ms * 1000);
  const whole = Math.trunc(micros / 1000);
  return `${whole}.${String(1000 + micros - whole * 1000).slice(1)}`;
}
