/**
 * Clients that send requests continuously, and the count of the results.
 * Owns: the count. Every request is counted once, when it ends: as answered when the answer is the expected one, or as
 * failed with the reason. No request is sent again.
 * Limits: `most` requests, 30 s for each. The latency of each answer is stored.
 */
import { messageOf } from '../../api/errors.ts';

export type Tally = {
  readonly answered: number;
  readonly failed: number;
  readonly slowestMs: number;
  /** The reasons of the first few requests that failed. */
  readonly failures: readonly string[];
};

const failuresKept = 5;

export type TrafficOptions = {
  /** Sends one request. Rejects when the answer is not the expected answer. */
  readonly send: (signal: AbortSignal) => Promise<void>;
  /**
   * The number of clients. Each client sends one request after the other, so this is the largest number of requests at
   * the same time.
   */
  readonly lanes: number;
  /** Waits between two requests of a client. */
  readonly rest: () => Promise<void>;
  /** The total number of requests. Absent: no limit. */
  readonly most?: number;
  readonly monotonic: () => number;
};

export class Traffic {
  readonly #options: TrafficOptions;
  readonly #lanes: Promise<void>[];
  readonly #failures: string[] = [];
  readonly #latenciesMs: number[] = [];
  #begun = 0;
  #answered = 0;
  #failed = 0;
  #slowestMs = 0;
  #stopping = false;

  /** Starts to send requests, until `stop`. */
  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.lanes }, () => this.#keepSending());
  }

  get tally(): Tally {
    return { answered: this.#answered, failed: this.#failed, slowestMs: this.#slowestMs, failures: this.#failures };
  }

  /** The latencies of all answers so far, in the order in which the answers arrived. */
  get latenciesMs(): readonly number[] {
    return this.#latenciesMs;
  }

  /** Resolves when `most` requests have ended, or when sending was stopped. */
  async ended(): Promise<void> {
    await Promise.all(this.#lanes);
  }

  /** Stops sending, and waits for requests in progress. @returns the count of all requests */
  async stop(): Promise<Tally> {
    this.#stopping = true;
    await Promise.all(this.#lanes);
    return this.tally;
  }

  async #keepSending(): Promise<void> {
    const { most = Infinity, rest } = this.#options;
    while (!this.#stopping && this.#begun < most) {
      this.#begun += 1;
      await this.#sendOne();
      if (!this.#stopping) await rest();
    }
  }

  async #sendOne(): Promise<void> {
    const { send, monotonic } = this.#options;
    const beganMs = monotonic();
    try {
      await send(AbortSignal.timeout(requestTimeoutMs));
      this.#answered += 1;
      const tookMs = monotonic() - beganMs;
      this.#latenciesMs.push(tookMs);
      this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    } catch (error) {
      this.#failed += 1;
      if (this.#failures.length < failuresKept) this.#failures.push(reasonsOf(error));
    }
  }
}

/** A request fails when its answer takes longer than this. */
const requestTimeoutMs = 30_000;

/** The reasons of an error: fetch throws "fetch failed" with the actual reason as its cause. */
function reasonsOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : `${messageOf(error)}: ${messageOf(cause)}`;
}
