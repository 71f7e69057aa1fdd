/**
 * Ends a process that cannot exit after SIGTERM because a run of ONNX Runtime does not return.
 *
 * Owns: the last seconds of the grace period: first all requests are answered with an error, then the process kills
 *       itself with SIGKILL. The kubelet would kill it a little later, without answers and without last words (the
 *       container's termination message). A run is one call of ONNX Runtime.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';

export type LastResortDeps = {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The model's name, for messages. */
  readonly model: string;
  /** The time from SIGTERM to the kubelet's SIGKILL. */
  readonly graceMs: number;
  readonly runs: () => { readonly oldestMs: number; readonly limitMs: number };
  /** Answers every open request with the error. @returns the number of requests */
  readonly giveUp: (error: AppError) => number;
  readonly sayLast: (code: 'RUN_STUCK', message: string) => void;
  readonly kill: () => void;
};

/**
 * How long before the end of the grace period the open requests are answered with an error. The clients need time to
 * receive the answers.
 */
const answerBeforeMs = 3000;
/** How long before the end of the grace period the process kills itself. The kubelet would kill it at the end. */
const killBeforeMs = 1000;

/**
 * Starts the timers. Requests may finish until 3 s before the end of the grace period. If the grace period is shorter
 * than six seconds, requests may use half of it.
 */
export function endAfterGrace({ clock, logger, model, graceMs, runs, giveUp, sayLast, kill }: LastResortDeps): void {
  const answerAtMs = Math.max(graceMs / 2, graceMs - answerBeforeMs);
  const killAtMs = Math.max(answerAtMs, graceMs - killBeforeMs);
  clock.after(answerAtMs, () => {
    const { oldestMs, limitMs } = runs();
    // A run that began recently is not stuck: its request may only need more time than is left.
    const stuck = oldestMs > 0 && oldestMs >= Math.min(limitMs, answerAtMs);
    const requests = giveUp(
      stuck ? new AppError('RUN_STUCK', { model, ranMs: oldestMs, limitMs }) : new AppError('DRAINING', undefined),
    );
    logger.error('shutting down takes too long', { graceMs, oldestRunMs: Math.round(oldestMs), givenUp: requests });
    if (stuck)
      sayLast(
        'RUN_STUCK',
        `a run of ${model} had not ended ${Math.round(answerAtMs / 1000)} s after SIGTERM ` +
          `(age of the run: ${Math.round(oldestMs / 1000)} s): ${requests} requests were given up and the process ` +
          'killed itself',
      );
    clock.after(killAtMs - answerAtMs, kill);
  });
}
