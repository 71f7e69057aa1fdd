/** Ends everything that the stories started, after the last story or on a signal. Loaded by mocha's `--require`. */
import { systemClock } from '../../lib/clock.ts';
import { exitCodes, signalHandler } from '../../lib/lifecycle.ts';
import { closeWorld } from './story.ts';

export const mochaHooks = { afterAll: closeWorld };

const onSignal = signalHandler({
  clock: systemClock,
  end: () => void closeWorld().finally(() => process.exit(exitCodes.interrupted)),
  endNow: () => process.exit(exitCodes.interrupted),
});
process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
