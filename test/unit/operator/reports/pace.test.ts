/** The pause between two pulls (requests of the operator for a pod's report). */
import assert from 'node:assert/strict';
import { pauseMs, type PodPace } from '../../../../operator/reports/pace.ts';

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
