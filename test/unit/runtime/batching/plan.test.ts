/** Which requests share a run (one call of ONNX Runtime), and when. Bulk requests are less urgent than others. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  bulkPatienceMs,
  planBatch,
  planWhileBusy,
  type BatchLimits,
  type BatchPlan,
  type PlanTime,
  type Waiting,
} from '../../../../runtime/batching/plan.ts';

const t0 = 1000;
const waiting = (overrides: Partial<Waiting> = {}): Waiting => ({
  tier: 'interactive',
  group: 'a',
  rows: 1,
  elements: 10,
  bytes: 0,
  enqueuedAtMs: t0,
  deadlineMs: undefined,
  ...overrides,
});
const patient: BatchLimits = { maxRows: 4, maxElements: 1000, maxBytes: 1000, maxDelayMs: 50 };
const now: PlanTime = { nowMs: t0, bulkRanAtMs: -Infinity };
const eager: BatchLimits = { ...patient, maxDelayMs: 0 };

type Row = {
  readonly name: string;
  readonly queue: readonly Waiting[];
  readonly limits?: BatchLimits;
  readonly afterMs?: number;
  /** The time when bulk requests last ran, in milliseconds after `t0`. */
  readonly bulkRanAfterMs?: number;
  readonly want: BatchPlan;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'rests on an empty queue', queue: [], want: { kind: 'rest' } },
  { name: 'runs a single request at once without a delay', queue: [waiting()],
    limits: eager, want: { kind: 'run', take: [0], because: 'aged' } },
  { name: 'waits for other requests during the delay',
    queue: [waiting()], afterMs: 20, want: { kind: 'wait', forMs: 30 } },
  { name: 'runs when the oldest request has waited for the delay',
    queue: [waiting(), waiting({ enqueuedAtMs: t0 + 40 })], afterMs: 50,
    want: { kind: 'run', take: [0, 1], because: 'aged' } },
  { name: 'runs a full batch without waiting', queue: [waiting({ rows: 2 }), waiting({ rows: 2 })],
    want: { kind: 'run', take: [0, 1], because: 'full' } },
  { name: 'runs a batch that the next request would overfill',
    queue: [waiting({ rows: 3 }), waiting({ rows: 2 })], want: { kind: 'run', take: [0], because: 'full' } },
  { name: 'runs a request above the limit alone',
    queue: [waiting({ rows: 9 }), waiting()], want: { kind: 'run', take: [0], because: 'full' } },
  { name: 'closes a batch that would hold too many elements',
    queue: [waiting({ elements: 900 }), waiting({ elements: 200 })],
    want: { kind: 'run', take: [0], because: 'full' } },
  { name: 'closes a batch that would take too much memory',
    queue: [waiting({ bytes: 900 }), waiting({ bytes: 200 })], want: { kind: 'run', take: [0], because: 'full' } },
  { name: 'groups by shape and leaves the others',
    queue: [waiting(), waiting({ group: 'b' }), waiting(), waiting({ group: 'b' })],
    limits: eager, want: { kind: 'run', take: [0, 2], because: 'aged' } },
  { name: 'runs a full group while an older one still waits',
    queue: [waiting(), waiting({ group: 'b', rows: 4 })], want: { kind: 'run', take: [1], because: 'full' } },
  { name: 'runs requests alone that cannot be batched',
    queue: [waiting({ group: undefined }), waiting({ group: undefined })],
    want: { kind: 'run', take: [0], because: 'alone' } },
  { name: 'drops the expired before anything runs',
    queue: [waiting({ deadlineMs: t0 + 5 }), waiting(), waiting({ deadlineMs: t0 + 10 })],
    afterMs: 10, want: { kind: 'drop', drop: [0, 2] } },
  { name: 'runs interactive work before bulk work that came earlier', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: eager, want: { kind: 'run', take: [1], because: 'aged' } },
  { name: 'keeps bulk work back while interactive work waits for company',
    queue: [waiting({ tier: 'bulk', rows: 4, group: 'b' }), waiting()], want: { kind: 'wait', forMs: 50 } },
  { name: 'runs bulk work once no interactive work waits',
    queue: [waiting({ tier: 'bulk', rows: 2 }), waiting({ tier: 'bulk', rows: 2 })],
    want: { kind: 'run', take: [0, 1], because: 'full' } },
  { name: 'drops expired bulk work although it is not its turn',
    queue: [waiting({ tier: 'bulk', deadlineMs: t0 }), waiting()], want: { kind: 'drop', drop: [0] } },
  { name: 'wakes for the deadline of bulk work that has to wait',
    queue: [waiting({ tier: 'bulk', deadlineMs: t0 + 10 }), waiting()], want: { kind: 'wait', forMs: 10 } },
  { name: 'keeps bulk work back until it is due', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: eager, afterMs: bulkPatienceMs - 1, want: { kind: 'run', take: [1], because: 'aged' } },
  { name: 'runs bulk work that is due before interactive work', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: eager, afterMs: bulkPatienceMs, want: { kind: 'run', take: [0], because: 'aged' } },
  { name: 'keeps bulk work back after a run of other bulk work, however long it has waited',
    queue: [waiting({ tier: 'bulk' }), waiting()], bulkRanAfterMs: 1, limits: eager, afterMs: bulkPatienceMs,
    want: { kind: 'run', take: [1], because: 'aged' } },
  { name: 'wakes for a deadline that comes before the delay is over',
    queue: [waiting({ deadlineMs: t0 + 10 })], want: { kind: 'wait', forMs: 10 } },
];

describe('planBatch', () => {
  for (const { name, queue, limits = patient, afterMs = 0, bulkRanAfterMs = -Infinity, want } of rows) {
    it(name, () =>
      assert.deepEqual(planBatch(queue, limits, { nowMs: t0 + afterMs, bulkRanAtMs: t0 + bulkRanAfterMs }), want),
    );
  }

  const anyWaiting = fc.record({
    tier: fc.constantFrom('interactive' as const, 'bulk' as const),
    group: fc.constantFrom('a', 'b', 'c', undefined),
    rows: fc.integer({ min: 1, max: 6 }),
    elements: fc.integer({ min: 0, max: 600 }),
    bytes: fc.integer({ min: 0, max: 600 }),
    enqueuedAtMs: fc.integer({ min: t0 - 100, max: t0 }),
    deadlineMs: fc.option(fc.integer({ min: t0 - 20, max: t0 + 100 }), { nil: undefined }),
  });
  const anyQueue = fc
    .array(anyWaiting, { maxLength: 20 })
    .map((queue) => [...queue].sort((a, b) => a.enqueuedAtMs - b.enqueuedAtMs));
  const anyLimits = fc.record({
    maxRows: fc.integer({ min: 1, max: 8 }),
    maxElements: fc.integer({ min: 1, max: 1000 }),
    maxBytes: fc.integer({ min: 1, max: 1000 }),
    maxDelayMs: fc.integer({ min: 0, max: 60 }),
  });

  it('never mixes groups or tiers, never goes over the limits but for a lone first one', () => {
    fc.assert(
      fc.property(anyQueue, anyLimits, (queue, limits) => {
        const plan = planBatch(queue, limits, now);
        if (plan.kind !== 'run') return;
        const taken = plan.take.map((position) => queue[position]!);
        assert.equal(new Set(taken.map(({ group }) => group)).size, 1);
        assert.equal(new Set(taken.map(({ tier }) => tier)).size, 1);
        if (taken[0]?.group === undefined) assert.equal(taken.length, 1);
        if (taken.length > 1) {
          assert.ok(taken.reduce((sum, one) => sum + one.rows, 0) <= limits.maxRows);
          assert.ok(taken.reduce((sum, one) => sum + one.elements, 0) <= limits.maxElements);
        }
      }),
    );
  });

  it('takes the oldest of a group first, without a gap', () => {
    fc.assert(
      fc.property(anyQueue, anyLimits, (queue, limits) => {
        const plan = planBatch(queue, limits, now);
        if (plan.kind !== 'run') return;
        const { group, tier } = queue[plan.take[0]!]!;
        const members = queue.flatMap((one, position) => (one.group === group && one.tier === tier ? [position] : []));
        if (group !== undefined) assert.deepEqual(plan.take, members.slice(0, plan.take.length));
      }),
    );
  });

  it('conserves work: without a delay something runs or is dropped whenever anything waits', () => {
    fc.assert(
      fc.property(anyQueue, anyLimits, (queue, limits) => {
        const plan = planBatch(queue, { ...limits, maxDelayMs: 0 }, now);
        assert.equal(plan.kind === 'rest', queue.length === 0);
        assert.notEqual(plan.kind, 'wait');
      }),
    );
  });

  it('runs bulk work only while no interactive work waits', () => {
    fc.assert(
      fc.property(anyQueue, anyLimits, (queue, limits) => {
        const plan = planBatch(queue, limits, now);
        if (plan.kind !== 'run' || queue[plan.take[0]!]!.tier === 'interactive') return;
        assert.ok(queue.every(({ tier }) => tier === 'bulk'));
      }),
    );
  });

  it('never runs what is expired', () => {
    fc.assert(
      fc.property(anyQueue, anyLimits, (queue, limits) => {
        const plan = planBatch(queue, limits, now);
        if (plan.kind === 'run')
          assert.ok(plan.take.every((position) => (queue[position]?.deadlineMs ?? Infinity) > t0));
        if (plan.kind === 'wait') assert.ok(plan.forMs > 0);
      }),
    );
  });
});

describe('planWhileBusy', () => {
  it('drops the expired though nothing can run', () =>
    assert.deepEqual(planWhileBusy([waiting({ deadlineMs: t0 })], t0), { kind: 'drop', drop: [0] }));
  it('waits for the next deadline', () =>
    assert.deepEqual(planWhileBusy([waiting(), waiting({ deadlineMs: t0 + 7 })], t0), { kind: 'wait', forMs: 7 }));
});
