/**
 * The loop of a controller: workers take keys, run a pass for each, and requeue the key by the pass's outcome.
 * Terms: A key is namespace/name of an object. A pass is one run of the controller's work for the object of a key.
 * Owns: workers, the time limit of a pass, the meaning of each outcome (by the table in api/error-kinds.ts), and the
 * controller_runtime_* metrics. A pass gets a key, never an event, so it may run at any time and may be repeated.
 * Ends: `run` stops taking keys when its signal is aborted, gives passes in progress `drainMs` to finish, then aborts
 * them, and resolves when the last pass has returned.
 */
import { kinds } from '../../api/error-kinds.ts';
import { AppError, kindOf } from '../../api/errors.ts';
import { aborted } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { startDeadline } from '../../lib/deadline.ts';
import type { Logger } from '../../lib/log.ts';
import type { Registry } from '../../lib/metrics.ts';
import { ControllerMetrics, type Result } from './controller-metrics.ts';
import { statusOf } from '../client/kube-error.ts';
import type { WorkQueue } from './workqueue.ts';

/** What a successful pass returns. */
export type PassResult = {
  /**
   * The next pass runs within this many milliseconds even if nothing changes. If absent, the next pass runs only after
   * a change.
   */
  readonly recheckMs?: number;
};

/** @param signal aborted when the pass takes too long or the controller ends; the pass must then return soon */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<PassResult>;

export type ControllerDeps = {
  /** The `controller` label of the metrics. */
  readonly name: string;
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly logger: Logger;
  /** The number of passes at the same time, each for a different key. */
  readonly workers?: number;
  /** A pass that takes longer is aborted and tried again. */
  readonly timeoutMs?: number;
  /**
   * How long passes may continue after the signal of `run` was aborted, in milliseconds. It must be shorter than the
   * time between the loss of the Lease and the moment when another process may take the Lease (leader.ts).
   */
  readonly drainMs?: number;
  /**
   * Milliseconds until the next try after an error about a missing object. The object may appear without a watch that
   * reports it.
   */
  readonly missingRecheckMs?: number;
};

/** What happens to a key after its pass. */
type Next =
  | { readonly kind: 'forget'; readonly result: Result; readonly recheckMs?: number }
  | { readonly kind: 'backoff'; readonly result: Result; readonly atLeastMs: number };

export class Controller {
  readonly #deps: ControllerDeps;
  readonly #metrics: ControllerMetrics;
  readonly #workers: number;
  #passes = 0;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    this.#workers = deps.workers ?? 4;
    this.#metrics = new ControllerMetrics(deps.registry, deps.name, this.#workers);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { queue, clock } = this.#deps;
    const passes = new AbortController();
    const workers = Promise.all(Array.from({ length: this.#workers }, () => this.#work(passes.signal)));
    await aborted(signal);
    const off = clock.after(this.#deps.drainMs ?? 4000, () => passes.abort(new Error('the controller has ended')));
    await queue.close();
    off();
    await workers;
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { queue } = this.#deps;
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
      try {
        await this.#pass(key, signal);
      } finally {
        queue.done(key);
      }
    }
  }

  async #pass(key: string, signal: AbortSignal): Promise<void> {
    const { clock, reconcile, queue } = this.#deps;
    this.#passes += 1;
    const logger = this.#deps.logger.child({ key, pass: this.#passes });
    const deadline = startDeadline(clock, this.#deps.timeoutMs ?? 60_000, signal);
    const end = this.#metrics.began(clock);
    let next: Next;
    try {
      next = afterSuccess(await reconcile(key, deadline.signal));
    } catch (error) {
      const ended: Next = { kind: 'forget', result: 'requeue' };
      const late: Next = { kind: 'backoff', result: 'error', atLeastMs: 0 };
      next = signal.aborted
        ? ended
        : deadline.expired()
          ? late
          : afterFailure(error, this.#deps.missingRecheckMs ?? 300_000);
      this.#report(logger, error, next, deadline.expired());
    } finally {
      deadline.dispose();
    }
    end(next.result);
    if (next.kind === 'backoff') {
      queue.addRateLimited(key, next.atLeastMs);
      return;
    }
    queue.forget(key);
    if (next.recheckMs !== undefined) queue.addAfter(key, next.recheckMs);
  }

  #report(logger: Logger, error: unknown, next: Next, timedOut: boolean): void {
    if (timedOut) this.#metrics.timedOut();
    // An error without a code is a bug of the operator. It is counted in the metric for panics, the closest of
    // controller-runtime's metrics.
    if (!timedOut && next.result === 'error' && !(error instanceof AppError)) this.#metrics.panicked();
    const fields = { err: error, result: next.result, ...(timedOut ? { timedOut } : {}) };
    logger[timedOut ? 'warn' : kinds[kindOf(error)].log]('pass failed', fields);
  }
}

function afterSuccess({ recheckMs }: PassResult): Next {
  return recheckMs === undefined
    ? { kind: 'forget', result: 'success' }
    : { kind: 'forget', result: 'requeue_after', recheckMs };
}

/** What the queue does after an error, by the table of error kinds (api/error-kinds.ts). */
function afterFailure(error: unknown, missingRecheckMs: number): Next {
  const atLeastMs = statusOf(error)?.afterMs ?? 0;
  switch (kinds[kindOf(error)].retry) {
    case 'never':
      return { kind: 'forget', result: 'terminal' };
    case 'on-change':
      return { kind: 'forget', result: 'terminal', recheckMs: missingRecheckMs };
    case 'now':
      // Retry with a fresh read. The first wait, of a few milliseconds, lets the watch catch up. As long as the cache
      // is stale, the waits grow.
      return { kind: 'backoff', result: 'requeue', atLeastMs };
    case 'after':
      return { kind: 'forget', result: 'requeue_after', recheckMs: Math.max(atLeastMs, 1000) };
    case 'backoff':
      return { kind: 'backoff', result: 'error', atLeastMs };
  }
}
