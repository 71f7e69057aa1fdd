/** Which requests fail when a run (one call of ONNX Runtime) takes too long, and when StuckRuns calls `onHopeless`. */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { StuckRuns, type StuckRunsDeps } from '../../../../runtime/call/stuck-runs.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const limitMs = 30_000;

function given(seen: { oldestMs: number; stuckMs: number }) {
  const givenUp: { ranMs: number; queued: boolean }[] = [];
  const hopeless: string[] = [];
  const world: StuckRunsDeps = {
    clock: new HandClock(),
    logger: silentLogger,
    model: 'm',
    runs: () => ({ ...seen, limitMs }),
    giveUp: (which) => givenUp.push(which),
    onHopeless: ({ code }) => hopeless.push(code),
  };
  return { stuck: new StuckRuns(world), givenUp, hopeless };
}

// prettier-ignore
const rows: readonly { readonly name: string; readonly oldestMs: number; readonly stuckMs: number;
  readonly givenUp: readonly unknown[]; readonly hopeless: readonly string[] }[] = [
  { name: 'does nothing for a run at the limit', oldestMs: limitMs, stuckMs: limitMs, givenUp: [], hopeless: [] },
  { name: 'does not fail requests of a run at twice the limit', oldestMs: 2 * limitMs,
    stuckMs: 2 * limitMs, givenUp: [], hopeless: [] },
  { name: 'fails the requests of a run above twice the limit, but not queued requests while a worker is free',
    oldestMs: 2 * limitMs + 1, stuckMs: 0, givenUp: [{ ranMs: 2 * limitMs, queued: false }], hopeless: [] },
  { name: 'fails queued requests, too, and calls onHopeless when every worker is stuck',
    oldestMs: 3 * limitMs, stuckMs: 2 * limitMs + 1,
    givenUp: [{ ranMs: 2 * limitMs, queued: true }], hopeless: ['RUN_STUCK'] },
];

describe('StuckRuns', () => {
  for (const { name, givenUp, hopeless, ...seen } of rows) {
    it(name, () => {
      const world = given(seen);
      world.stuck.look();
      assert.deepEqual([world.givenUp, world.hopeless], [givenUp, hopeless]);
    });
  }

  it('calls onHopeless once', () => {
    const world = given({ oldestMs: 3 * limitMs, stuckMs: 3 * limitMs });
    for (let look = 0; look < 3; look += 1) world.stuck.look();
    assert.deepEqual(world.hopeless, ['RUN_STUCK']);
  });
});
