/**
 * A program that takes longer to end than the test waits. Prints "up" once signals are handled, "ending" at the first
 * signal.
 */
import { run } from '../../lib/lifecycle.ts';
import { silentLogger } from '../../lib/log.ts';

const alive = setInterval(() => {}, 60_000);
await run(silentLogger, async (stop) => {
  stop.addEventListener('abort', () => process.stdout.write('ending\n'));
  process.stdout.write('up\n');
  await new Promise(() => {});
  clearInterval(alive);
  return 0;
});
