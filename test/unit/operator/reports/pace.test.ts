/** When pods are pulled (asked for their reports) and when the pass of their model follows. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { gatheringMs, nextPullMs, paceMs, pauseMs, type PodPace } from '../../../../operator/reports/pace.ts';

const at: PodPace = { pace: 'rest', isReady: true, misses: 0, ageMs: 0, report: { ready: true } };
const golden = { id: 'a', state: 'Running', n: 1, done: 0, passed: 0, score: null, worst: null } as const;

// prettier-ignore
const rows: readonly { readonly name: string; readonly pod: Partial<PodPace>; readonly wantMs: number }[] = [
  { name: 'a pod at rest', pod: {}, wantMs: 30_000 },
  { name: 'a pod in a rollout', pod: { pace: 'rollout' }, wantMs: 5_000 },
  { name: 'a pod in a rollout with a golden run in progress',
    pod: { pace: 'rollout', report: { ready: true, golden } }, wantMs: 1_500 },
  { name: 'a pod that reports it is not ready', pod: { report: { ready: false } }, wantMs: 5_000 },
  { name: 'a pod that has not been ready for five minutes',
    pod: { report: { ready: false }, ageMs: 300_000 }, wantMs: 30_000 },
  { name: 'a pod that was silent once', pod: { misses: 1 }, wantMs: 5_000 },
  { name: 'a pod that was silent twice', pod: { misses: 2 }, wantMs: 10_000 },
  { name: 'a pod that was silent three times', pod: { misses: 3 }, wantMs: 20_000 },
  { name: 'a ready pod in a rollout that is silent for long', pod: { pace: 'rollout', misses: 50 }, wantMs: 30_000 },
  { name: 'a pod in a rollout that is not ready and silent for long',
    pod: { pace: 'rollout', isReady: false, misses: 50 }, wantMs: 300_000 },
  { name: 'a pod at rest that is silent for very long', pod: { misses: 1e9 }, wantMs: 300_000 },
];

describe('the pause after a pull', () => {
  for (const { name, pod, wantMs } of rows)
    it(`is ${wantMs / 1000} s for ${name}`, () => assert.equal(pauseMs({ ...at, ...pod }), wantMs));
});

describe('the moments at which the pods of a model are pulled', () => {
  const regular: PodPace = { ...at, pace: 'rollout' };
  const time = fc.double({ min: 0, max: 1e9, noNaN: true });

  it('are the same for all pods of a model, 2.5 to 7.5 s after the last pull', () =>
    fc.assert(
      fc.property(fc.nat(), time, time, (firstMs, oneMs, otherMs) => {
        const [one, other] = [oneMs, otherMs].map((nowMs) => nextPullMs(firstMs, regular, nowMs)) as [number, number];
        assert.equal(Math.abs(one - other) % paceMs.rollout, 0);
        assert.ok(one - oneMs >= paceMs.rollout / 2 && one - oneMs <= 1.5 * paceMs.rollout, `${one - oneMs} ms`);
      }),
    ));

  it('follow each other after 5 s for a pod that answers quickly', () =>
    assert.equal(nextPullMs(1_234, regular, 1_234 + 40), 1_234 + paceMs.rollout));

  for (const { name, pod, wantMs } of [
    { name: 'at rest', pod: at, wantMs: 30_000 },
    { name: 'after a pull without an answer', pod: { ...regular, misses: 2 }, wantMs: 10_000 },
    {
      name: 'during a golden run (test requests with known answers)',
      pod: { ...regular, report: { ready: true, golden } },
      wantMs: 1_500,
    },
  ])
    it(`do not bind a pod ${name}`, () => assert.equal(nextPullMs(1_234, pod, 77) - 77, wantMs));

  it('are followed by the pass: at once with failures, at every second moment with counts alone', () =>
    fc.assert(
      fc.property(fc.nat(), time, (firstMs, nowMs) => {
        assert.equal(gatheringMs(firstMs, nowMs, true), 500);
        const moment = nextPullMs(firstMs, regular, nowMs);
        const waits = [moment + 1, moment + paceMs.rollout + 1].map((ms) =>
          Math.round(gatheringMs(firstMs, ms, false)),
        );
        assert.deepEqual(
          waits.toSorted((a, b) => a - b),
          [499, 5_499],
        );
      }),
    ));
});
