/**
 * The order of waiting keys (namespace and name of objects to process): by priority, by namespaces in turn, and by age.
 * One turn in four is for the key that has waited longest, once it has waited for `agedMs`.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { agedMs, FairQueue, moreUrgent, priorities, type Priority } from '../../../../kube/controller/fair-queue.ts';

type Add = readonly [key: string, priority: Priority];

function filled(adds: readonly Add[], nowMs = 0): FairQueue {
  const queue = new FairQueue();
  for (const [key, priority] of adds) queue.add(key, priority, nowMs);
  return queue;
}

/** Takes all keys from the queue at the time `nowMs`. Returns them in the order in which the queue gave them out. */
function drained(queue: FairQueue, nowMs = 0): readonly string[] {
  const keys: string[] = [];
  for (let key = queue.take(nowMs); key !== undefined; key = queue.take(nowMs)) keys.push(key);
  return keys;
}

describe('FairQueue', () => {
  const rows: readonly { readonly name: string; readonly adds: readonly Add[]; readonly order: readonly string[] }[] = [
    {
      name: 'gives out a rollback before a promotion, and a promotion before housekeeping',
      adds: [
        ['a/rest', 'low'],
        ['a/promote', 'normal'],
        ['a/rollback', 'urgent'],
      ],
      order: ['a/rollback', 'a/promote', 'a/rest'],
    },
    {
      name: 'gives out keys of one namespace in the order of adding',
      adds: [
        ['a/1', 'low'],
        ['a/2', 'low'],
        ['a/3', 'low'],
      ],
      order: ['a/1', 'a/2', 'a/3'],
    },
    {
      name: 'gives each namespace its turn, however many keys another one has',
      adds: [
        ['a/1', 'low'],
        ['a/2', 'low'],
        ['a/3', 'low'],
        ['b/1', 'low'],
        ['c/1', 'low'],
        ['b/2', 'low'],
      ],
      order: ['a/1', 'b/1', 'c/1', 'a/2', 'b/2', 'a/3'],
    },
    {
      name: 'raises a waiting key that is added with a more urgent priority',
      adds: [
        ['a/1', 'normal'],
        ['a/2', 'low'],
        ['a/2', 'urgent'],
      ],
      order: ['a/2', 'a/1'],
    },
    {
      name: 'does not lower a waiting key',
      adds: [
        ['a/1', 'urgent'],
        ['a/1', 'low'],
        ['a/2', 'normal'],
      ],
      order: ['a/1', 'a/2'],
    },
    {
      name: 'does not take a turn from a namespace when one of its keys is raised',
      adds: [
        ['a/1', 'low'],
        ['a/2', 'low'],
        ['b/1', 'low'],
        ['a/1', 'urgent'],
      ],
      order: ['a/1', 'a/2', 'b/1'],
    },
    {
      name: 'orders cluster-scoped keys, too',
      adds: [
        ['x', 'low'],
        ['y', 'normal'],
      ],
      order: ['y', 'x'],
    },
  ];
  for (const { name, adds, order } of rows) it(name, () => assert.deepEqual(drained(filled(adds)), order));

  it('gives one turn in four to the key that has waited longest, once it has waited for the time of ageing', () => {
    const queue = filled([['a/old', 'low']]);
    const urgent = Array.from({ length: 8 }, (_, i): Add => [`b/${i}`, 'urgent']);
    for (const [key, priority] of urgent) queue.add(key, priority, agedMs - 1);
    const early = Array.from({ length: 4 }, () => queue.take(agedMs - 1));
    assert.deepEqual(early, ['b/0', 'b/1', 'b/2', 'b/3']);
    const late = Array.from({ length: 4 }, () => queue.take(agedMs));
    assert.deepEqual(late, ['b/4', 'b/5', 'b/6', 'a/old']);
  });

  it('keeps the age of a key that is raised', () => {
    const queue = filled([['a/old', 'low']]);
    for (let i = 0; i < 9; i += 1) queue.add(`b/${i}`, 'urgent', 1);
    queue.add('a/old', 'normal', agedMs);
    assert.deepEqual(
      Array.from({ length: 4 }, () => queue.take(agedMs)),
      ['b/0', 'b/1', 'b/2', 'a/old'],
    );
  });

  const anyKey = fc.tuple(fc.nat(4), fc.nat(6)).map(([namespace, name]) => `ns-${namespace}/m-${name}`);
  const anyPriority = fc.constantFrom(...priorities);
  const anyStep = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), key: anyKey, priority: anyPriority }),
    fc.record({ kind: fc.constant('take' as const) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(2 * agedMs) }),
  );

  it('loses no key and never holds a key twice', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 200 }), (steps) => {
        const queue = new FairQueue();
        const waiting = new Set<string>();
        let nowMs = 0;
        for (const step of steps) {
          if (step.kind === 'wait') nowMs += step.ms;
          else if (step.kind === 'add') {
            queue.add(step.key, step.priority, nowMs);
            waiting.add(step.key);
          } else {
            const key = queue.take(nowMs);
            assert.equal(key === undefined ? waiting.size === 0 : waiting.delete(key), true);
          }
          assert.equal(queue.size, waiting.size);
          for (const key of waiting) assert.ok(queue.has(key));
        }
        assert.deepEqual([...drained(queue, nowMs)].sort(), [...waiting].sort());
      }),
    );
  });

  it('gives out priorities in order, and namespaces of one priority in turn, while no key is old', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyKey, anyPriority), { maxLength: 60 }), (adds) => {
        const priorityOf = new Map<string, Priority>();
        for (const [key, priority] of adds) priorityOf.set(key, moreUrgent(priority, priorityOf.get(key) ?? 'low'));
        const order = drained(filled(adds));
        const levels = order.map((key) => priorities.indexOf(priorityOf.get(key) ?? 'low'));
        assert.deepEqual(
          levels,
          [...levels].sort((a, b) => a - b),
        );
        for (const [level] of priorities.entries()) {
          const namespaces = order.filter((_, i) => levels[i] === level).map((key) => key.split('/')[0] ?? '');
          // Between two turns of one namespace, every other namespace has at most one turn.
          namespaces.forEach((namespace, i) => {
            const next = namespaces.indexOf(namespace, i + 1);
            const between = namespaces.slice(i + 1, next < 0 ? i + 1 : next);
            assert.equal(new Set(between).size, between.length);
          });
        }
      }),
    );
  });

  it('gives out every key in bounded time while urgent keys arrive without end', () => {
    const anyAdds = fc.array(fc.tuple(anyKey, anyPriority), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(anyAdds, fc.integer({ min: 1, max: 50 }), (adds, msPerTurn) => {
        const queue = filled(adds);
        const left = new Set(adds.map(([key]) => key));
        // A key with n older keys before it waits `agedMs` until it has aged. After that it waits at most 4(n + 1)
        // turns.
        const mostTurns = Math.ceil(agedMs / msPerTurn) + 4 * left.size;
        for (let turn = 1; turn <= mostTurns; turn += 1) {
          for (let i = 0; i < 2; i += 1) queue.add(`flood-${i}/${turn}`, 'urgent', turn * msPerTurn);
          left.delete(queue.take(turn * msPerTurn) ?? '');
        }
        assert.deepEqual([...left], []);
      }),
    );
  });
});
