/**
 * When a client may send its next request: the pause that the API server asked for, and the client's own rate.
 * Terms: After a pause, a slow start follows: for as long as the pause lasted, the client sends at most 20 requests a
 * second. A bucket gains `qps` tokens a second, up to `burst`; each request takes one.
 * Owns: one pause for all requests of a client, the slow start after it, and the bucket of `qps` and `burst`.
 * Limits: a pause lasts at most 60 s, and a request waits at most as long as its caller allows.
 * Why: API Priority and Fairness answers 429 when the queues of the whole client are full. The server would refuse
 * other requests of the same client, too. Those requests would only take the place of the requests that already wait.
 */
import type { Clock } from '../../lib/clock.ts';
import { reasonOf } from '../../lib/abort.ts';
import { statusError } from './kube-error.ts';

export type ThrottleLimits = {
  /** Requests a second, on average. With 0 there is no limit. */
  readonly qps: number;
  /** Requests that may be sent at once after a time without requests, 1 or more. */
  readonly burst: number;
  /**
   * Longest pause, in milliseconds; a longer pause that the server asks for is shortened. Default: 60,000. 0: the
   * client never pauses. The client of the Leases uses 0, because a leader that cannot renew its Lease must stop.
   */
  readonly maxPauseMs?: number;
};

/** The client does not limit itself. The server's Priority and Fairness decides. */
export const noThrottle: ThrottleLimits = { qps: 0, burst: 1 };

/** For the client of the Leases: no rate limit and no pauses. */
export const withoutPauses: ThrottleLimits = { ...noThrottle, maxPauseMs: 0 };

const maxPauseMs = 60_000;
/** The time between two requests of the slow start, in milliseconds. It allows 20 requests per second. */
const slowMs = 50;

export class Throttle {
  readonly #clock: Clock;
  readonly #limits: ThrottleLimits;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  /** When the slow start ends. A slow start lasts as long as the pause before it. */
  #slowUntil = Number.NEGATIVE_INFINITY;
  #nextSlowAt = Number.NEGATIVE_INFINITY;
  #tokens: number;
  #refilledAt: number;

  constructor(clock: Clock, limits: ThrottleLimits = noThrottle) {
    this.#clock = clock;
    this.#limits = limits;
    this.#tokens = limits.burst;
    this.#refilledAt = clock.monotonic();
  }

  /**
   * Call this method when the server asked the client to send nothing for `ms` milliseconds. A shorter pause does not
   * end a longer one.
   */
  pause(ms: number): void {
    const forMs = Math.min(ms, this.#limits.maxPauseMs ?? maxPauseMs);
    const until = this.#clock.monotonic() + forMs;
    if (until <= this.#pausedUntil) return;
    this.#pausedUntil = until;
    this.#slowUntil = until + forMs;
  }

  /** Milliseconds until the pause ends; 0 when there is no pause. */
  get pausedMs(): number {
    return Math.max(0, this.#pausedUntil - this.#clock.monotonic());
  }

  /**
   * Resolves when a request may be sent.
   *
   * @param mostMs the longest wait, in milliseconds
   * @throws AppError KUBE_STATUS 429, with the time that is left, when the wait would be longer than `mostMs`; the
   *   signal's reason when the signal is aborted
   */
  async turn(signal: AbortSignal, mostMs: number): Promise<void> {
    const giveUpAt = this.#clock.monotonic() + mostMs;
    await this.#sleep(this.#tokenWaitMs(mostMs), signal);
    for (let waitMs = this.#pauseWaitMs(); waitMs > 0; waitMs = this.#pauseWaitMs()) {
      const leftMs = Math.max(waitMs, this.pausedMs);
      if (this.#clock.monotonic() + leftMs > giveUpAt)
        throw notSent('the server asked this client to send fewer requests', leftMs);
      await this.#sleep(waitMs, signal);
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (ms > 0) await this.#clock.sleep(ms, signal);
    if (signal.aborted) throw reasonOf(signal);
  }

  /**
   * The wait until the pause ends, or until the slow start allows a request. If the wait is 0 during the slow start,
   * the request takes the slot, and the next request waits `slowMs`.
   */
  #pauseWaitMs(): number {
    const now = this.#clock.monotonic();
    if (now < this.#pausedUntil) return this.#pausedUntil - now;
    if (now >= this.#slowUntil) return 0;
    if (now < this.#nextSlowAt) return this.#nextSlowAt - now;
    this.#nextSlowAt = now + slowMs;
    return 0;
  }

  /**
   * Takes a token and returns the wait for it. The count of tokens may become negative. Example: at 10 tokens per
   * second and a count of -3 after taking, the wait is 300 ms.
   * @throws AppError KUBE_STATUS 429, without taking a token, when the wait would be longer than `mostMs`
   */
  #tokenWaitMs(mostMs: number): number {
    const { qps, burst } = this.#limits;
    if (qps === 0) return 0;
    const now = this.#clock.monotonic();
    const tokens = Math.min(burst, this.#tokens + ((now - this.#refilledAt) / 1000) * qps);
    const waitMs = tokens >= 1 ? 0 : ((1 - tokens) / qps) * 1000;
    const isSoon = waitMs <= mostMs;
    this.#tokens = isSoon ? tokens - 1 : tokens;
    this.#refilledAt = now;
    if (!isSoon) throw notSent(`this client sends at most ${qps} requests a second`, waitMs);
    return waitMs;
  }
}

function notSent(why: string, afterMs: number): Error {
  return statusError({ status: 429, reason: 'TooManyRequests', message: `not sent: ${why}`, afterMs });
}
