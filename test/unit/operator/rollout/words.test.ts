/** A message gives the actual share of the traffic, in addition to the target. */
import assert from 'node:assert/strict';
import { secondsWords, servesWords, shareWords, wantedWords } from '../../../../operator/rollout/words.ts';
import { a, b, RolloutWorld } from '../../../support/rollout-world.ts';

describe('a share of the traffic', () => {
  const rows: readonly (readonly [string, number, Readonly<Record<string, number>> | undefined, string])[] = [
    ['is one number where actual share and target are equal', 34, { [a]: 66.4, [b]: 33.6 }, '34 % of the traffic'],
    ['is two numbers where they differ', 5, { [a]: 67, [b]: 33 }, 'target 5 %, actual 33 % of the traffic'],
    ['is 0 % for a revision without a share', 5, { [a]: 100 }, 'target 5 %, actual 0 % of the traffic'],
    ['is unknown while the route moves', 50, undefined, 'target 50 %, actual share of the traffic unknown'],
  ];
  for (const [name, weight, shares, says] of rows) {
    it(name, () => assert.equal(shareWords(b, weight, { traffic: { shares, reverts: 0 } }), says));
  }

  it('is the actual one in every message of a canary by pods', () => {
    const world = new RolloutWorld();
    world.spec = {
      replicas: 3,
      rollout: {
        strategy: 'Canary',
        steps: [
          { weight: 5 },
          { analyze: { require: 'NoFail' } },
          { pause: {} },
          { weight: 50 },
          { pause: {} },
          { weight: 100 },
        ],
      },
    };
    for (let i = 0; i < 8; i += 1) {
      world.tick();
      world.pass();
    }
    world.target = b;
    for (let i = 0; i < 30; i += 1) {
      world.tick();
      const { message, next } = world.pass();
      if (next.phase === 'Paused')
        world.spec = {
          ...world.spec,
          rollout: { ...world.spec.rollout, resumeStep: i % 3 === 0 ? `${b}/${next.step}` : '' },
        };
      for (const [, target, actual] of message.matchAll(/(?:target (\d+) %, actual )?(\d+) % of the traffic/g)) {
        assert.equal(Number(actual), Math.round(world.shareOf(b)), message);
        assert.ok(target === undefined || target !== actual, message);
      }
      assert.doesNotMatch(message, /at \d+% of the traffic/);
    }
    assert.equal(world.state.phase, 'Settling');
  });

  it('is not claimed for a revision without a ready pod', () => {
    const pods = { ready: 1, present: 1, deployed: true, resolved: true };
    assert.equal(servesWords(a, { pods: { [a]: pods } }), `${a} serves`);
    assert.equal(servesWords(a, { pods: { [a]: { ...pods, ready: 0 } } }), `${a} is stable and has no ready pod`);
    assert.equal(servesWords(a, { pods: {} }), `${a} is stable and has no ready pod`);
  });

  it('is not attributed to the spec when a pin names the revision', () => {
    assert.equal(wantedWords(a, {}), `the spec describes ${a}`);
    assert.equal(wantedWords(a, { pinRevision: b }), `the spec describes ${a}`);
    assert.equal(wantedWords(a, { pinRevision: a }), `spec.rollout.pinRevision names ${a}`);
  });

  it('comes with times in whole seconds', () => assert.equal(secondsWords(299_900.0000000003), '300 s'));
});
