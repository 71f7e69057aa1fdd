/**
 * Answers the requests of runs that do not end, and says so once.
 *
 * Owns:  the look at the runs, once a second. Requests of a run that took twice the limit are given up with RUN_STUCK;
 *        when every worker is held by such a run, those that wait are given up, too. Probes do the rest (readiness.ts).
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
  /** Told once when every worker has been held for twice the limit: liveness has gone, the process will be ended. */
  readonly onHopeless: (error: AppError) => void;
};

const lookMs = 1000;

export class StuckRuns {
  readonly #deps: StuckRunsDeps;
  #said: 'Nothing' | 'Slow' | 'Hopeless' = 'Nothing';

  constructor(deps: StuckRunsDeps) {
    this.#deps = deps;
  }

  /** Looks until the signal is aborted. */
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
      logger.error('run has not ended', { ranMs: Math.round(oldestMs), limitMs, everyWorker: stuckMs > limitMs });
    }
    if (oldestMs <= 2 * limitMs) return;
    const hopeless = stuckMs > 2 * limitMs;
    giveUp({ ranMs: 2 * limitMs, queued: hopeless }, error);
    if (!hopeless || this.#said === 'Hopeless') return;
    this.#said = 'Hopeless';
    logger.error('every worker is held by a run that does not end: liveness is gone, the process has to be ended', {
      stuckMs: Math.round(stuckMs),
      limitMs,
    });
    onHopeless(error);
  }
}
