/**
 * The end of a process that was told to end and cannot: a run of ONNX Runtime that does not return holds its thread,
 * and a process with such a thread does not exit.
 *
 * Owns:  two moments before the grace period is over: requests are answered, then the process kills itself. Whoever
 *        sent SIGTERM would kill it a little later, without an answer for anybody and without last words.
 * Ends:  with SIGKILL, unless the process has exited before.
 */
import { AppError } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';

export type LastResort = {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The model's name, for messages. */
  readonly model: string;
  /** From the signal to SIGKILL by whoever sent it. */
  readonly graceMs: number;
  readonly runs: () => { readonly oldestMs: number; readonly limitMs: number };
  /** Answers every open request with the error. @returns how many there were */
  readonly giveUp: (error: AppError) => number;
  readonly sayLast: (code: 'RUN_STUCK', message: string) => void;
  readonly kill: () => void;
};

/** Answers need a moment to be written, and the kill has to come before the kubelet's. */
const answerBeforeMs = 3000;
const killBeforeMs = 1000;

/** Begins to count. Long grace periods leave all but 3 s for the ordinary end, short ones half of them. */
export function endAfterGrace({ clock, logger, model, graceMs, runs, giveUp, sayLast, kill }: LastResort): void {
  const answerAtMs = Math.max(graceMs / 2, graceMs - answerBeforeMs);
  const killAtMs = Math.max(answerAtMs, graceMs - killBeforeMs);
  clock.after(answerAtMs, () => {
    const { oldestMs, limitMs } = runs();
    // A run that began lately is one of many, of a request that needs more time than is left: nothing says that it does
    // not end.
    const stuck = oldestMs > 0 && oldestMs >= Math.min(limitMs, answerAtMs);
    const requests = giveUp(
      stuck ? new AppError('RUN_STUCK', { model, ranMs: oldestMs, limitMs }) : new AppError('DRAINING', undefined),
    );
    logger.error('shutting down takes too long', { graceMs, oldestRunMs: Math.round(oldestMs), givenUp: requests });
    if (stuck)
      sayLast(
        'RUN_STUCK',
        `${Math.round(answerAtMs / 1000)} s after the signal to end a run of ${model} had not ended ` +
          `(${Math.round(oldestMs / 1000)} s old): ${requests} requests were given up and the process killed itself`,
      );
    clock.after(killAtMs - answerAtMs, kill);
  });
}
