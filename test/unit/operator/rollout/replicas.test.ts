/**
 * The numbers of pods of two revisions: a table that a person can check, then invariants for random fleets and weights.
 * A fleet is a model's number of pods, with the pods that a rollout may add (Surge) or take from stable (Borrow).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { rolloutDefaults } from '../../../../api/defaults.ts';
import { equalLoadLn } from '../../../../operator/analysis/constants.ts';
import {
  carriedWeight,
  comparableLn,
  lentAhead,
  splitBetween,
  splitFor,
  type Fleet,
} from '../../../../operator/rollout/replicas.ts';

const surge = (replicas: number, pods: number): Fleet => ({ replicas, capacity: { mode: 'Surge', surge: pods } });
const borrow = (replicas: number): Fleet => ({ replicas, capacity: { mode: 'Borrow', surge: 1 } });

// prettier-ignore
const rows: readonly { readonly name: string; readonly fleet: Fleet;
  readonly pods: Readonly<Record<number, readonly [candidate: number, stable: number]>> }[] = [
  { name: 'three pods with capacity for both in full: stable keeps its own', fleet: surge(3, 3),
    pods: { 0: [1, 3], 5: [1, 3], 33: [2, 3], 50: [3, 3], 67: [3, 3], 100: [3, 3] } },
  { name: 'three pods with a surge of one', fleet: surge(3, 1),
    pods: { 5: [1, 3], 34: [2, 2], 50: [2, 2], 67: [3, 1], 100: [3, 1] } },
  { name: 'ten pods with a surge of three', fleet: surge(10, 3),
    pods: { 5: [1, 10], 50: [6, 7], 90: [10, 3], 100: [10, 3] } },
  { name: 'three pods by a route: the candidate has two from the start',
    fleet: { ...surge(3, 3), isByWeight: true }, pods: { 0: [1, 3], 5: [2, 3], 50: [3, 3] } },
  { name: 'three pods by a route with a surge of one',
    fleet: { ...surge(3, 1), isByWeight: true }, pods: { 5: [1, 3] } },
  { name: 'one pod by a route', fleet: { ...surge(1, 1), isByWeight: true }, pods: { 5: [1, 1] } },
  { name: 'four replicas under Borrow', fleet: borrow(4),
    pods: { 0: [1, 3], 5: [1, 3], 25: [1, 3], 50: [2, 2], 75: [3, 1], 99: [3, 1], 100: [4, 0] } },
  { name: 'two replicas under Borrow: one pod each until the end',
    fleet: borrow(2), pods: { 5: [1, 1], 67: [1, 1], 100: [2, 0] } },
  { name: 'one replica under Borrow: one pod each', fleet: borrow(1), pods: { 5: [1, 1], 50: [1, 1], 100: [1, 0] } },
  { name: 'no pods', fleet: surge(0, 1), pods: { 5: [0, 0], 100: [0, 0] } },
];

const fleets = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 0, max: 120 }))
    .map(([replicas, more]) => surge(replicas, Math.max(lentAhead(replicas), Math.min(more, replicas)))),
  fc.integer({ min: 1, max: 1000 }).map(borrow),
  fc.constantFrom(surge(1000, 10), surge(1000, 250), surge(333, 4), surge(150, 2)),
);
const weight = fc.integer({ min: 1, max: 100 });
/**
 * The minimum number of pods for a share of the traffic. The tolerance is one percent of the traffic, or one pod if
 * that is less.
 */
const needed = (percent: number, { replicas }: Fleet): number =>
  (replicas * percent) / 100 - Math.min(1, replicas / 100);
const most = ({ replicas, capacity }: Fleet): number =>
  capacity.mode === 'Surge' ? replicas + capacity.surge : Math.max(2, replicas);

describe('the pods of two revisions', () => {
  for (const { name, fleet, pods } of rows) {
    it(`match the table for ${name}`, () => {
      const got = Object.fromEntries(
        Object.keys(pods).map((at) => [
          at,
          [splitFor(Number(at), fleet).candidate, splitFor(Number(at), fleet).stable],
        ]),
      );
      assert.deepEqual(got, pods);
    });
  }

  describe('at the default weights', () => {
    const capacities: readonly { readonly name: string; readonly of: (replicas: number) => Fleet }[] = [
      { name: 'a surge of 100 %', of: (replicas) => surge(replicas, replicas) },
      { name: 'a surge of 50 %', of: (replicas) => surge(replicas, Math.ceil(replicas / 2)) },
      { name: 'a surge of 25 %', of: (replicas) => surge(replicas, Math.ceil(replicas / 4)) },
      { name: 'a surge of one pod', of: (replicas) => surge(replicas, 1) },
      { name: 'borrowed pods', of: borrow },
    ];
    for (const { name, of } of capacities) {
      it(`pods of both carry about the same load, or the candidate's carry less, with ${name}`, () => {
        for (const step of rolloutDefaults.steps.flatMap((each) =>
          'weight' in each && each.weight < 100 ? [each.weight] : [],
        )) {
          for (let replicas = 1; replicas <= 14; replicas++) {
            const { candidate, stable } = splitFor(step, of(replicas));
            const ln = Math.log(step / candidate / ((100 - step) / stable));
            assert.ok(ln <= 0.3, `${step}% of ${replicas}: ${candidate} and ${stable}, ln ${ln.toFixed(2)}`);
            if (step === 50 && candidate + stable === 2 * replicas)
              assert.equal(ln, 0, 'with capacity for both in full the loads are equal');
          }
        }
      });
    }

    it('are comparable up to the limit of the judge', () => assert.equal(comparableLn, equalLoadLn));

    it('are more for the candidate than for stable when one of them must have fewer', () => {
      assert.deepEqual(
        [splitFor(50, surge(2, 1)), splitFor(50, surge(3, 2)), splitFor(50, surge(4, 1))],
        [
          { candidate: 2, stable: 1 },
          { candidate: 3, stable: 2 },
          { candidate: 3, stable: 2 },
        ],
      );
    });
  });

  it('never exceed the capacity, nor the candidate spec.replicas', () => {
    fc.assert(
      fc.property(fleets, weight, fc.integer({ min: 0, max: 100 }), (fleet, asked, part) => {
        const { candidate, stable } = splitBetween(Math.floor((asked * part) / 100), asked, fleet);
        assert.ok(candidate >= 1 && candidate <= fleet.replicas, `${candidate}`);
        assert.ok(candidate + stable <= most(fleet), `${candidate} and ${stable}`);
      }),
    );
  });

  it('are enough for the share of stable, with one pod lent ahead under Borrow', () => {
    fc.assert(
      fc.property(fleets, weight, fc.integer({ min: 0, max: 100 }), (fleet, asked, part) => {
        const reached = Math.floor((asked * part) / 100);
        const lent = fleet.capacity.mode === 'Borrow' ? lentAhead(fleet.replicas) : 0;
        if (reached < 100) assert.ok(splitBetween(reached, asked, fleet).stable >= needed(100 - reached, fleet) - lent);
      }),
    );
  });

  it('reach the target weight, however few pods fit at once', () => {
    fc.assert(
      fc.property(fleets, weight, (fleet, asked) => {
        let reached = 0;
        for (let rounds = 0; reached < asked; rounds += 1) {
          const next = carriedWeight(reached, asked, splitBetween(reached, asked, fleet).candidate, fleet);
          assert.ok(next > reached, `stays at ${reached} on the way to ${asked}`);
          assert.ok(next <= asked && rounds <= 100);
          reached = next;
        }
      }),
    );
  });

  it('carry no more than their number allows, except for the last step under Borrow', () => {
    fc.assert(
      fc.property(fleets, weight, fc.integer({ min: 0, max: 120 }), (fleet, asked, ready) => {
        const carried = carriedWeight(0, asked, ready, fleet);
        if (fleet.capacity.mode === 'Surge' || asked < 100)
          assert.ok(
            ready >= Math.min(needed(carried, fleet), splitFor(asked, fleet).candidate) - 1e-6,
            `${ready} pods carry ${carried}%`,
          );
      }),
    );
  });

  it('do not reduce a weight that was reached', () => {
    assert.equal(carriedWeight(50, 75, 0, surge(4, 4)), 50);
    assert.equal(carriedWeight(5, 100, 2, surge(4, 1)), 50);
    assert.equal(carriedWeight(67, 100, 1, borrow(2)), 100);
  });
});
