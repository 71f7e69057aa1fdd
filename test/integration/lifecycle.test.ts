/**
 * Signals to a real process. Under npm one Ctrl-C arrives twice and must count once; a later Ctrl-C of the user must
 * count again.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../lib/clock.ts';
import { oneKeystrokeMs } from '../../lib/lifecycle.ts';

const program = fileURLToPath(new URL('../support/slow-ending-process.ts', import.meta.url));

describe('a process that is slow to end', function () {
  it('continues to shut down when Ctrl-C arrives twice, and exits at once with 130 at a later one', async () => {
    const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'exit');
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      assert.equal((await lines.next()).value, 'up');
      child.kill('SIGINT');
      child.kill('SIGINT');
      assert.equal((await lines.next()).value, 'ending');
      // The process ignores a second signal for `oneKeystrokeMs` and prints nothing when that time is over, so wait
      // longer.
      await systemClock.sleep(oneKeystrokeMs * 2);
      assert.equal(child.exitCode, null);
      child.kill('SIGINT');
      assert.deepEqual(await ended, [130, null]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
