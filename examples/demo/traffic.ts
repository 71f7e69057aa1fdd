/**
 * A client that keeps sending, and counts.
 *
 * Owns:  the count. Every request is counted once when it ends: answered with a vector for its text, or failed with the
 *        reason. Nothing is retried.
 */
import { messageOf } from '../../api/errors.ts';

export type Tally = {
  readonly answered: number;
  readonly failed: number;
  readonly slowestMs: number;
  /** The first few reasons. */
  readonly failures: readonly string[];
};

const failuresKept = 5;

export type TrafficOptions = {
  /** One request. Rejects when it was not answered as it should be. */
  readonly send: (signal: AbortSignal) => Promise<void>;
  /** Requests under way at a time. */
  readonly lanes: number;
  /** Between two requests of a lane. */
  readonly rest: () => Promise<void>;
  readonly monotonic: () => number;
};

export class Traffic {
  readonly #options: TrafficOptions;
  readonly #lanes: Promise<void>[];
  readonly #failures: string[] = [];
  #answered = 0;
  #failed = 0;
  #slowestMs = 0;
  #stopping = false;

  /** Sends from now on until `stop`. */
  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.lanes }, () => this.#keepSending());
  }

  get tally(): Tally {
    return { answered: this.#answered, failed: this.#failed, slowestMs: this.#slowestMs, failures: this.#failures };
  }

  /** Sends no more, waits for what is under way. @returns the count of all */
  async stop(): Promise<Tally> {
    this.#stopping = true;
    await Promise.all(this.#lanes);
    return this.tally;
  }

  async #keepSending(): Promise<void> {
    while (!this.#stopping) {
      await this.#sendOne();
      await this.#options.rest();
    }
  }

  async #sendOne(): Promise<void> {
    const { send, monotonic } = this.#options;
    const beganMs = monotonic();
    try {
      await send(AbortSignal.timeout(requestTimeoutMs));
      this.#answered += 1;
      this.#slowestMs = Math.max(this.#slowestMs, monotonic() - beganMs);
    } catch (error) {
      this.#failed += 1;
      if (this.#failures.length < failuresKept) this.#failures.push(reasonsOf(error));
    }
  }
}

/** A request without an answer after this long has failed. */
const requestTimeoutMs = 30_000;

/** fetch says "fetch failed" and keeps the reason as the cause. */
function reasonsOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
}
