/** The next step of a Deployment: which ReplicaSets are created, scaled or deleted. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  planDeployment,
  resolveRollingUpdate,
  type DeploymentSeen,
  type DeploymentStep,
  type SetSeen,
} from '../../../../local/workloads/deployment-plan.ts';
import type { StoredDeployment } from '../../../../local/workloads/resources.ts';

const set = (name: string, parts: Partial<SetSeen> = {}): SetSeen => {
  const wanted = parts.wanted ?? 3;
  return {
    name,
    current: name === 'new',
    createdMs: name === 'new' ? 100 : 1,
    wanted,
    replicas: wanted,
    available: wanted,
    ...parts,
  };
};
const healthy: DeploymentSeen = {
  desired: 3,
  strategy: 'RollingUpdate',
  maxSurge: 1,
  maxUnavailable: 0,
  paused: false,
  historyLimit: 2,
  sets: [],
  oldPodsLeft: false,
};

type Row = { name: string; seen: Partial<DeploymentSeen>; want: readonly DeploymentStep[] };

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'creates the first set at full size', seen: {}, want: [{ kind: 'create', replicas: 3 }] },
  { name: 'does nothing when the set has the desired size', seen: { sets: [set('new')] }, want: [] },
  { name: 'creates a new set no larger than maxSurge allows',
    seen: { sets: [set('old')] }, want: [{ kind: 'create', replicas: 1 }] },
  { name: 'creates a new set empty when maxSurge is used up',
    seen: { maxSurge: 0, maxUnavailable: 1, sets: [set('old')] }, want: [{ kind: 'create', replicas: 0 }] },
  { name: 'waits for the new pod before it removes an old one',
    seen: { sets: [set('old'), set('new', { wanted: 1, available: 0 })] }, want: [] },
  { name: 'removes an old pod once the new one is available', seen: { sets: [set('old'), set('new', { wanted: 1 })] },
    want: [{ kind: 'scale', set: 'old', from: 3, to: 2 }] },
  { name: 'scales up the new set when an old pod is gone',
    seen: { sets: [set('old', { wanted: 2 }), set('new', { wanted: 1 })] },
    want: [{ kind: 'scale', set: 'new', from: 1, to: 2 }] },
  { name: 'removes old pods at once as far as maxUnavailable allows',
    seen: { maxSurge: 0, maxUnavailable: 2, sets: [set('old'), set('new', { wanted: 0 })] },
    want: [{ kind: 'scale', set: 'old', from: 3, to: 1 }] },
  {
    name: 'removes unavailable old pods first',
    seen: { sets: [set('old', { createdMs: 1, available: 3 }),
        set('broken', { createdMs: 2, wanted: 1, available: 0 }), set('new', { wanted: 0 })] },
    want: [{ kind: 'scale', set: 'broken', from: 1, to: 0 }],
  },
  { name: 'scales down the new set when fewer pods are desired', seen: { desired: 1, sets: [set('new')] },
    want: [{ kind: 'scale', set: 'new', from: 3, to: 1 }] },
  { name: 'deletes the oldest empty sets beyond the history limit',
    seen: { sets: [set('a', { wanted: 0, createdMs: 1 }), set('b', { wanted: 0, createdMs: 2 }),
      set('c', { wanted: 0, createdMs: 3 }), set('new')] }, want: [{ kind: 'forget', set: 'a' }] },
  { name: 'keeps an old set whose pods are not gone yet',
    seen: { historyLimit: 0, sets: [set('a', { wanted: 0, replicas: 1 }), set('new')] }, want: [] },
  { name: 'keeps the history while the new set is not available',
    seen: { historyLimit: 0, sets: [set('a', { wanted: 0 }), set('new', { available: 2 })] }, want: [] },
  { name: 'empties all old sets first with Recreate',
    seen: { strategy: 'Recreate', sets: [set('old'), set('older', { wanted: 1 })] },
    want: [{ kind: 'scale', set: 'old', from: 3, to: 0 }, { kind: 'scale', set: 'older', from: 1, to: 0 }] },
  { name: 'waits for the last old pod with Recreate',
    seen: { strategy: 'Recreate', sets: [set('old', { wanted: 0, replicas: 0 })], oldPodsLeft: true }, want: [] },
  { name: 'creates the new set at full size once all old pods are gone with Recreate',
    seen: { strategy: 'Recreate', sets: [set('old', { wanted: 0, replicas: 0 })] },
    want: [{ kind: 'create', replicas: 3 }] },
  { name: 'creates no new set while paused', seen: { paused: true, sets: [set('old')] }, want: [] },
  { name: 'scales the one active set while paused', seen: { paused: true, desired: 5, sets: [set('old')] },
    want: [{ kind: 'scale', set: 'old', from: 3, to: 5 }] },
];

describe('planDeployment', () => {
  for (const { name, seen, want } of rows) {
    it(name, () => assert.deepEqual(planDeployment({ ...healthy, ...seen }), want));
  }

  it('ends at the desired size, within its bounds at every step, from any start', () => {
    const start = fc
      .record({
        desired: fc.integer({ min: 0, max: 12 }),
        maxSurge: fc.integer({ min: 0, max: 4 }),
        maxUnavailable: fc.integer({ min: 0, max: 4 }),
        old: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 3 }),
        lazy: fc.array(fc.boolean(), { minLength: 400, maxLength: 400 }),
      })
      .filter(({ maxSurge, maxUnavailable }) => maxSurge + maxUnavailable > 0);
    fc.assert(
      fc.property(start, ({ desired, maxSurge, maxUnavailable, old, lazy }) => {
        let sets: SetSeen[] = old.map((wanted, index) => set(`old-${index}`, { wanted, createdMs: index }));
        const atStart = sets.reduce((sum, one) => sum + one.wanted, 0);
        for (const isLazy of lazy) {
          const steps = planDeployment({
            ...healthy,
            desired,
            maxSurge,
            maxUnavailable: Math.min(maxUnavailable, desired),
            historyLimit: 99,
            sets,
          });
          for (const step of steps) {
            if (step.kind === 'create') sets.push(set('new', { wanted: step.replicas, available: 0 }));
            if (step.kind === 'scale')
              sets = sets.map((one) =>
                one.name === step.set
                  ? { ...one, wanted: step.to, replicas: step.to, available: Math.min(one.available, step.to) }
                  : one,
              );
          }
          const total = sets.reduce((sum, one) => sum + one.wanted, 0);
          const available = sets.reduce((sum, one) => sum + one.available, 0);
          assert.ok(total <= Math.max(atStart, desired + maxSurge), 'over the surge');
          assert.ok(available >= Math.min(atStart, desired - maxUnavailable), 'under the floor');
          // `isLazy` is drawn at random. If it is false, all wanted pods become available in this round.
          if (!isLazy) sets = sets.map((one) => ({ ...one, available: one.wanted }));
        }
        assert.equal(sets.find((one) => one.name === 'new')?.wanted, desired);
        assert.equal(
          sets.filter((one) => one.name !== 'new').reduce((sum, one) => sum + one.wanted, 0),
          0,
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe('resolveRollingUpdate', () => {
  const spec = (replicas: number, rollingUpdate?: object): StoredDeployment['spec'] => ({
    replicas,
    selector: {},
    template: { spec: {} },
    ...(rollingUpdate === undefined ? {} : { strategy: { rollingUpdate } }),
  });
  // prettier-ignore
  const cases: readonly (readonly [string, StoredDeployment['spec'],
    { maxSurge: number; maxUnavailable: number }])[] = [
    ['rounds a surge up and unavailability down', spec(3), { maxSurge: 1, maxUnavailable: 0 }],
    ['uses absolute numbers', spec(3, { maxSurge: 2, maxUnavailable: 1 }), { maxSurge: 2, maxUnavailable: 1 }],
    ['allows one unavailable pod when both are 0',
      spec(3, { maxSurge: 0, maxUnavailable: '10%' }), { maxSurge: 0, maxUnavailable: 1 }],
    ['allows at most the desired number to be unavailable',
      spec(2, { maxSurge: 0, maxUnavailable: 5 }), { maxSurge: 0, maxUnavailable: 2 }],
    ['has no bounds with Recreate', { ...spec(3), strategy: { type: 'Recreate' } }, { maxSurge: 0, maxUnavailable: 0 }],
  ];
  for (const [name, given, want] of cases) it(name, () => assert.deepEqual(resolveRollingUpdate(given), want));
});
