/**
 * Complete rollouts (stories) as text for review. Some of them run again, each time with a crash of the operator's
 * process instead of one of its writes.
 */
import assert from 'node:assert/strict';
import { assertGolden } from '../support/golden.ts';
import { Stage } from '../support/stage.ts';
import { stories, type Story } from './rollouts.ts';

/** @param before called after the events of each step, with the time of the step in seconds */
async function tell(
  { seconds, events }: Story,
  before: (stage: Stage, atS: number) => void = () => {},
  stage = new Stage(),
): Promise<Stage> {
  for (let atS = 0; atS <= seconds; atS += 5) {
    for (const event of events.filter((one) => one.atS === atS)) {
      stage.say(event.say);
      event.does(stage);
    }
    before(stage, atS);
    await stage.step();
  }
  return stage;
}

describe('the story in which', () => {
  for (const story of stories) {
    it(story.name, async () => {
      const { lines } = await tell(story);
      assertGolden(`story/rollouts/${story.name.replaceAll(' ', '-')}.golden`, `${lines.join('\n')}\n`);
    });
  }
});

/** The part of a story's final state that a crash must not change; names of pods are not part of it. */
function endOf({ status, cluster }: Stage): unknown {
  const { phase, stable, candidate, rollout, history } = status;
  const deployments = cluster
    .of('Deployment')
    .map(({ metadata }) => metadata.name)
    .toSorted();
  return {
    phase,
    stable: stable?.revision,
    candidate: candidate?.revision,
    reason: rollout?.reason,
    deployments,
    history: history?.map(({ revision, outcome, reason }) => [revision, outcome, reason]),
  };
}

/**
 * Stories that together cover most transitions. Each story runs again for every `every`-th of its writes, with a crash
 * instead of that write.
 */
const dangerous = [
  { name: 'a slow candidate is rolled back at its first step', every: 3 },
  { name: 'a canary by a route goes through the default steps', every: 5 },
  { name: 'a canary goes through the default steps', every: 12 },
  { name: 'a third spec is applied during a rollout', every: 12 },
  { name: 'pods are borrowed for a canary', every: 12 },
];
/** Seconds that are added to a story for retries after a crash. */
const longer = 60;

describe('the story in which', () => {
  for (const { name, every } of dangerous) {
    it(`${name} ends the same when the process crashes instead of a write`, async function () {
      this.timeout(300_000);
      const story = stories.find((one) => one.name === name) ?? assert.fail(name);
      const long = { ...story, seconds: story.seconds + longer };
      const whole = await tell(long);
      assert.ok(whole.cluster.writes.length > 30);
      for (let at = 0; at < whole.cluster.writes.length; at += every) {
        const stage = await tell(long, dieAt(at));
        assert.deepEqual(endOf(stage), endOf(whole), `at write ${at}: ${whole.cluster.writes[at]}`);
      }
    });
  }

  it('caches lag and the process restarts every ten seconds, rollouts end the same', async function () {
    this.timeout(300_000);
    for (const [seed, story] of stories.entries()) {
      if (endsOtherwise.some((name) => story.name.startsWith(name))) continue;
      const long = { ...story, seconds: story.seconds + longer };
      const random = seeded(seed);
      const restart = (stage: Stage, atS: number): void => {
        if (atS % 10 === 0) stage.restart();
      };
      const [{ status: shown }, { status: wanted }] = [
        await tell(long, restart, new Stage(() => random() < 0.3)),
        await tell(long),
      ];
      // Do not compare the reason. With faults the rollout ends later, when another reason may apply.
      assert.deepEqual(
        [shown.phase, shown.stable?.revision, shown.candidate?.revision],
        [wanted.phase, wanted.stable?.revision, wanted.candidate?.revision],
        story.name,
      );
    }
  });
});

/**
 * Names of stories that may end differently when caches lag and processes restart. In "a failed gate", an operator that
 * sees the pods late pauses the rollout before the candidate gets traffic. In "another writer", the operator counts how
 * often it restored the weights of the route, and a restart sets this count to 0.
 */
const endsOtherwise = ['a failed gate', 'another writer'];

/** A pseudo-random generator with a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Simulates a crash: after `at` writes, the next write throws, once. The next process has no memory of earlier writes.
 */
function dieAt(at: number): (stage: Stage) => void {
  let isOver = false;
  return ({ cluster }) => {
    cluster.beforeWrite = (what) => {
      if (isOver || cluster.writes.length !== at) return;
      isOver = true;
      throw new Error(`crash at ${what}`);
    };
  };
}
