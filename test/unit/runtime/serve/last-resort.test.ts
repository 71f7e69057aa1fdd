/** A process that cannot end normally answers its requests, and kills itself within its grace period. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { endAfterGrace } from '../../../../runtime/serve/last-resort.ts';
import { HandClock } from '../../../support/hand-clock.ts';

function given(graceMs: number, oldestMs: number) {
  const clock = new HandClock();
  const begunMs = clock.monotonic();
  const done: string[] = [];
  const note = (what: string): void => void done.push(`${what} after ${clock.monotonic() - begunMs}`);
  endAfterGrace({
    clock,
    logger: silentLogger,
    model: 'm',
    graceMs,
    runs: () => ({ oldestMs, limitMs: 30_000 }),
    giveUp: ({ code }) => {
      note(code);
      return 2;
    },
    sayLast: (code, message) => note(`words ${code}, ${/2 requests were given up/.test(message)}`),
    kill: () => note('kill'),
  });
  return { clock, done };
}

// prettier-ignore
const rows: readonly { readonly name: string; readonly graceMs: number;
  readonly oldestMs: number; readonly want: readonly string[] }[] = [
  { name: 'within a pod\'s usual grace period', graceMs: 60_000, oldestMs: 90_000,
    want: ['RUN_STUCK after 57000', 'words RUN_STUCK, true after 57000', 'kill after 59000'] },
  { name: 'within a short one', graceMs: 2000, oldestMs: 1500,
    want: ['RUN_STUCK after 1000', 'words RUN_STUCK, true after 1000', 'kill after 1000'] },
  { name: 'with another error for a recent run', graceMs: 60_000,
    oldestMs: 100, want: ['DRAINING after 57000', 'kill after 59000'] },
  { name: 'without a current run', graceMs: 60_000,
    oldestMs: 0, want: ['DRAINING after 57000', 'kill after 59000'] },
];

describe('endAfterGrace', () => {
  for (const { name, graceMs, oldestMs, want } of rows) {
    it(`answers, then kills, ${name}`, async () => {
      const { clock, done } = given(graceMs, oldestMs);
      await clock.advance(graceMs);
      assert.deepEqual(done, want);
    });
  }
});
