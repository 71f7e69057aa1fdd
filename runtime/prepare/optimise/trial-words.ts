/**
 * Says in words how a trial of a build ended, for notes and errors.
 * Owns: the sentences, and the time limit of such a trial that they name. Pure.
 */
import { loadWords } from '../../engine/load-words.ts';
import type { TrialOutcome } from './trial.ts';

/** A trial of a build that takes longer is stopped. */
export const timeoutMs = 15 * 60_000;

export function wordsOf(outcome: TrialOutcome): string {
  switch (outcome.kind) {
    case 'Done':
      return 'it works';
    case 'Refused':
      return loadWords(outcome.why).slice(0, 600);
    case 'Died':
      return `the process ended during the ${outcome.during}: ${outcome.how}`;
    case 'TooLarge':
      return `it needs more memory than the limit (stopped at ${outcome.peakBytes} bytes)`;
    case 'TooSlow':
      return outcome.during === 'load'
        ? `the load took more than ${timeoutMs / 60_000} minutes`
        : 'its runs took longer than spec.warmup.timeout; one of them may never end';
  }
}
