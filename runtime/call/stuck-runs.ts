/**
 * Answers the requests of stuck runs with an error.
 *
 * Owns:  the check of the runs, once a second. Requests of a run that takes twice the limit of engine/run-watch.ts fail
 *        with RUN_STUCK. When the runs of all workers take twice the limit, queued requests fail too, and the liveness
 *        probe (readiness.ts) fails.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';

export type StuckRunsDeps = {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The model's name, for messages. */
  readonly model: string;
  readonly runs: () => { readonly oldestMs: number; readonly stuckMs: number; readonly limitMs: number };
  readonly giveUp: (which: { readonly ranMs: number; readonly queued: boolean }, error: AppError) => void;
  /** Called once when every worker has been stuck for twice the limit; the liveness probe fails from then on. */
  readonly onHopeless: (error: AppError) => void;
};

const lookMs = 1000;

export class StuckRuns {
  readonly #deps: StuckRunsDeps;
  #said: 'Nothing' | 'Slow' | 'Hopeless' = 'Nothing';

  constructor(deps: StuckRunsDeps) {
    this.#deps = deps;
  }

  /** Checks until the signal is aborted. */
  async watch(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.look();
      await this.#deps.clock.sleep(lookMs, stop);
    }
  }

  look(): void {
    const { runs, giveUp, model, logger, onHopeless } = this.#deps;
    const { oldestMs, stuckMs, limitMs } = runs();
    if (oldestMs <= limitMs) {
      this.#said = 'Nothing';
      return;
    }
    const error = new AppError('RUN_STUCK', { model, ranMs: oldestMs, limitMs });
    if (this.#said === 'Nothing') {
      this.#said = 'Slow';
      logger.error('a run takes longer than the limit', {
        ranMs: Math.round(oldestMs),
        limitMs,
        everyWorker: stuckMs > limitMs,
      });
    }
    if (oldestMs <= 2 * limitMs) return;
    const hopeless = stuckMs > 2 * limitMs;
    giveUp({ ranMs: 2 * limitMs, queued: hopeless }, error);
    if (!hopeless || this.#said === 'Hopeless') return;
    this.#said = 'Hopeless';
    logger.error('every worker is stuck in a run: the liveness probe fails, the process must be restarted', {
      stuckMs: Math.round(stuckMs),
      limitMs,
    });
    onHopeless(error);
  }
}
