/** Which requests share a run (one call of ONNX Runtime), and when. Bulk requests are less urgent than others. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { batchShape } from '../../../../runtime/batching/batch-shape.ts';
import {
  bulkPatienceMs,
  planBatch,
  planWhileBusy,
  urgencyOf,
  urgencyPatienceMs,
  type BatchCosts,
  type BatchLimits,
  type BatchPlan,
  type PlanState,
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
const now: PlanState = { nowMs: t0, bulkRanAtMs: -Infinity, workers: 1 };
const eager: BatchLimits = { ...patient, maxDelayMs: 0 };
const roomy: BatchLimits = { ...eager, maxRows: 32 };

/** Costs of a model for which a run of `rows` rows takes `msOf(rows)`, up to `most` rows. */
const costing = (msOf: (rows: number) => number, most = 32): BatchCosts => {
  const shape = batchShape(msOf, most);
  return { shapeOf: () => shape, msOf };
};
const unknown = costing(() => 0, 1024);
/** A convolution: two rows take twice the time of one. */
const flat = costing((rows) => 25 * rows);
/** A model of short texts: in a large batch, a row takes a fifth less time than alone. */
const nearlyFlat = costing((rows) => 1 + 4 * rows);
/** An MLP: a run reads the weights once for all rows, so additional rows take little time. */
const paying = costing((rows) => 10 + rows);
const singles = (count: number, more: Partial<Waiting> = {}): readonly Waiting[] =>
  Array.from({ length: count }, () => waiting(more));
const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, position) => position);

type Row = {
  readonly name: string;
  readonly queue: readonly Waiting[];
  readonly limits?: BatchLimits;
  readonly costs?: BatchCosts;
  /** The number of workers; absent: 1. */
  readonly workers?: number;
  readonly afterMs?: number;
  /** The time when bulk requests last ran, in milliseconds after `t0`. */
  readonly bulkRanAfterMs?: number;
  readonly want: BatchPlan;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'rests on an empty queue', queue: [], want: { kind: 'rest' } },
  { name: 'runs a single request at once without a delay', queue: [waiting()],
    limits: eager, want: { kind: 'run', take: [0], tier: 'interactive', because: 'aged' } },
  { name: 'waits for other requests during the delay',
    queue: [waiting()], afterMs: 20, want: { kind: 'wait', forMs: 30 } },
  { name: 'runs when the oldest request has waited for the delay',
    queue: [waiting(), waiting({ enqueuedAtMs: t0 + 40 })], afterMs: 50,
    want: { kind: 'run', take: [0, 1], tier: 'interactive', because: 'aged' } },
  { name: 'runs a full batch without waiting', queue: [waiting({ rows: 2 }), waiting({ rows: 2 })],
    want: { kind: 'run', take: [0, 1], tier: 'interactive', because: 'full' } },
  { name: 'runs a batch when the next request would exceed its limit',
    queue: [waiting({ rows: 3 }), waiting({ rows: 2 })],
    want: { kind: 'run', take: [0], tier: 'interactive', because: 'full' } },
  { name: 'runs a request above the limit alone',
    queue: [waiting({ rows: 9 }), waiting()], want: { kind: 'run', take: [0], tier: 'interactive', because: 'full' } },
  { name: 'closes a batch that would hold too many elements',
    queue: [waiting({ elements: 900 }), waiting({ elements: 200 })],
    want: { kind: 'run', take: [0], tier: 'interactive', because: 'full' } },
  { name: 'closes a batch that would take too much memory',
    queue: [waiting({ bytes: 900 }), waiting({ bytes: 200 })],
    want: { kind: 'run', take: [0], tier: 'interactive', because: 'full' } },
  { name: 'groups by shape and leaves the others',
    queue: [waiting(), waiting({ group: 'b' }), waiting(), waiting({ group: 'b' })],
    limits: eager, want: { kind: 'run', take: [0, 2], tier: 'interactive', because: 'aged' } },
  { name: 'runs a full group while an older one still waits',
    queue: [waiting(), waiting({ group: 'b', rows: 4 })],
    want: { kind: 'run', take: [1], tier: 'interactive', because: 'full' } },
  { name: 'runs requests alone that cannot be batched',
    queue: [waiting({ group: undefined }), waiting({ group: undefined })],
    want: { kind: 'run', take: [0], tier: 'interactive', because: 'alone' } },
  { name: 'drops expired requests before it plans a run',
    queue: [waiting({ deadlineMs: t0 + 5 }), waiting(), waiting({ deadlineMs: t0 + 10 })],
    afterMs: 10, want: { kind: 'drop', drop: [0, 2] } },
  { name: 'runs interactive work before bulk work that came earlier', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: eager, want: { kind: 'run', take: [1], tier: 'interactive', because: 'aged' } },
  { name: 'keeps bulk work back while interactive work waits for more requests',
    queue: [waiting({ tier: 'bulk', rows: 4, group: 'b' }), waiting()], want: { kind: 'wait', forMs: 50 } },
  { name: 'runs bulk work once no interactive work waits',
    queue: [waiting({ tier: 'bulk', rows: 2 }), waiting({ tier: 'bulk', rows: 2 })],
    want: { kind: 'run', take: [0, 1], tier: 'bulk', because: 'full' } },
  { name: 'drops expired bulk work although it is not its turn',
    queue: [waiting({ tier: 'bulk', deadlineMs: t0 }), waiting()], want: { kind: 'drop', drop: [0] } },
  { name: 'wakes for the deadline of bulk work that has to wait',
    queue: [waiting({ tier: 'bulk', deadlineMs: t0 + 10 }), waiting()], want: { kind: 'wait', forMs: 10 } },
  { name: 'keeps bulk work back until it is due', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: eager, afterMs: bulkPatienceMs - 1,
    want: { kind: 'run', take: [1], tier: 'interactive', because: 'aged' } },
  { name: 'runs bulk work that is due before interactive work', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: eager, afterMs: bulkPatienceMs, want: { kind: 'run', take: [0], tier: 'bulk', because: 'aged' } },
  { name: 'keeps bulk work back after a run of other bulk work, however long it has waited',
    queue: [waiting({ tier: 'bulk' }), waiting()], bulkRanAfterMs: 1, limits: eager, afterMs: bulkPatienceMs,
    want: { kind: 'run', take: [1], tier: 'interactive', because: 'aged' } },
  { name: 'wakes for a deadline that comes before the delay is over',
    queue: [waiting({ deadlineMs: t0 + 10 })], want: { kind: 'wait', forMs: 10 } },
  { name: 'runs the earliest deadline first',
    queue: [waiting({ group: undefined }), waiting({ group: undefined, deadlineMs: t0 + 90 }),
      waiting({ group: undefined, deadlineMs: t0 + 80 })],
    limits: eager, want: { kind: 'run', take: [2], tier: 'interactive', because: 'alone' } },
  { name: 'fills a run by deadline, not by arrival',
    queue: [waiting({ rows: 3 }), waiting({ rows: 3, deadlineMs: t0 + 90 }), waiting({ deadlineMs: t0 + 80 })],
    limits: eager, want: { kind: 'run', take: [1, 2], tier: 'interactive', because: 'full' } },
  { name: 'lets a request without a deadline go first once it has waited long enough',
    queue: [waiting({ group: undefined }),
      waiting({ group: undefined, enqueuedAtMs: t0 + 950, deadlineMs: t0 + urgencyPatienceMs + 1 })],
    limits: eager, afterMs: 960, want: { kind: 'run', take: [0], tier: 'interactive', because: 'alone' } },
  { name: 'runs rows alone that gain nothing from each other', queue: singles(6), limits: roomy, costs: flat,
    want: { kind: 'run', take: [0], tier: 'interactive', because: 'full' } },
  { name: 'does not wait for more rows that gain nothing', queue: singles(1), limits: patient, costs: flat,
    want: { kind: 'run', take: [0], tier: 'interactive', because: 'full' } },
  { name: 'takes only its share of rows that gain little', queue: singles(4), limits: roomy, costs: nearlyFlat,
    workers: 2, want: { kind: 'run', take: [0, 1], tier: 'interactive', because: 'aged' } },
  { name: 'takes no more rows than gain something, however many wait', queue: singles(30), limits: roomy,
    costs: nearlyFlat, workers: 2, want: { kind: 'run', take: upTo(8), tier: 'interactive', because: 'full' } },
  { name: 'takes all waiting rows that gain much', queue: singles(20), limits: roomy, costs: paying, workers: 2,
    want: { kind: 'run', take: upTo(20), tier: 'interactive', because: 'aged' } },
  { name: "keeps the spec's limit of rows although more rows would gain much", queue: singles(20), limits: eager,
    costs: paying, workers: 2, want: { kind: 'run', take: upTo(4), tier: 'interactive', because: 'full' } },
  { name: 'lets bulk work of the same group fill spare rows that cost little',
    queue: [waiting({ tier: 'bulk' }), waiting({ tier: 'bulk', group: 'b' }), waiting(),
      waiting({ tier: 'bulk', rows: 9 })],
    limits: roomy, costs: paying, want: { kind: 'run', take: [0, 2], tier: 'interactive', because: 'aged' } },
  { name: 'lets no bulk work join that would make the run longer', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: roomy, costs: nearlyFlat, want: { kind: 'run', take: [1], tier: 'interactive', because: 'aged' } },
  { name: 'lets no bulk work join while costs are not known', queue: [waiting({ tier: 'bulk' }), waiting()],
    limits: roomy, want: { kind: 'run', take: [1], tier: 'interactive', because: 'aged' } },
];

describe('planBatch', () => {
  for (const row of rows) {
    const { name, queue, limits = patient, costs = unknown, workers = 1, afterMs = 0, want } = row;
    const state = {
      ...now,
      workers,
      nowMs: t0 + afterMs,
      bulkRanAtMs: t0 + (row.bulkRanAfterMs ?? -Infinity),
    };
    it(name, () => assert.deepEqual(planBatch(queue, limits, costs, state), want));
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

  const anyCosts = fc.constantFrom(unknown, flat, nearlyFlat, paying);
  const anyState = fc.integer({ min: 1, max: 4 }).map((workers): PlanState => ({ ...now, workers }));
  const anyWorld = fc.record({ queue: anyQueue, limits: anyLimits, costs: anyCosts, state: anyState });
  type World = {
    readonly queue: readonly Waiting[];
    readonly limits: BatchLimits;
    readonly costs: BatchCosts;
    readonly state: PlanState;
  };
  const always = (check: (plan: BatchPlan, world: World) => void): void =>
    fc.assert(
      fc.property(anyWorld, (world) => check(planBatch(world.queue, world.limits, world.costs, world.state), world)),
    );
  const takenBy = (plan: BatchPlan, { queue }: World): readonly Waiting[] =>
    plan.kind === 'run' ? plan.take.map((position) => queue[position]!) : [];
  const sumOf = (taken: readonly Waiting[], key: 'rows' | 'elements' | 'bytes'): number =>
    taken.reduce((sum, one) => sum + one[key], 0);

  it('never mixes groups, and exceeds a limit only with a single request', () =>
    always((plan, world) => {
      const taken = takenBy(plan, world);
      if (taken.length <= 1) return;
      assert.deepEqual([new Set(taken.map(({ group }) => group)).size, taken[0]?.group === undefined], [1, false]);
      assert.ok(sumOf(taken, 'rows') <= world.limits.maxRows);
      assert.ok(sumOf(taken, 'rows') <= world.costs.shapeOf(1).rows);
      assert.ok(sumOf(taken, 'elements') <= world.limits.maxElements);
      assert.ok(sumOf(taken, 'bytes') <= world.limits.maxBytes);
    }));

  it('takes the most urgent requests of a group, and skips none of them', () =>
    always((plan, world) => {
      if (plan.kind !== 'run') return;
      const { queue }: World = world;
      const group = takenBy(plan, world)[0]?.group;
      if (group === undefined) return;
      for (const tier of ['interactive', 'bulk'] as const) {
        const members: readonly number[] = queue
          .flatMap((one, position) => (one.group === group && one.tier === tier ? [position] : []))
          .sort((a, b) => urgencyOf(queue[a]!) - urgencyOf(queue[b]!) || a - b);
        const took: readonly number[] = plan.take.filter((position) => queue[position]!.tier === tier);
        assert.deepEqual(new Set(took), new Set(members.slice(0, took.length)));
      }
    }));

  it('begins with the most urgent request of the tier, without a delay', () =>
    always((_, world) => {
      const plan = planBatch(world.queue, { ...world.limits, maxDelayMs: 0 }, world.costs, world.state);
      if (plan.kind !== 'run') return;
      const ofTier = world.queue.filter(({ tier }) => tier === plan.tier);
      const first = Math.min(...ofTier.map(urgencyOf));
      assert.equal(
        Math.min(
          ...takenBy(plan, world)
            .filter(({ tier }) => tier === plan.tier)
            .map(urgencyOf),
        ),
        first,
      );
    }));

  it('runs or drops a request whenever the queue is not empty, if there is no delay', () =>
    always((_, { queue, limits, costs, state }) => {
      const plan = planBatch(queue, { ...limits, maxDelayMs: 0 }, costs, state);
      assert.equal(plan.kind === 'rest', queue.length === 0);
      assert.notEqual(plan.kind, 'wait');
    }));

  it('runs bulk work while interactive work waits only in a run of interactive work that it hardly makes longer', () =>
    always((plan, world) => {
      const taken = takenBy(plan, world);
      const users = taken.filter(({ tier }) => tier === 'interactive');
      if (users.length === 0) return assert.ok(plan.kind !== 'run' || world.queue.every(({ tier }) => tier === 'bulk'));
      const { msOf } = world.costs;
      assert.ok(msOf(sumOf(taken, 'rows'), 1) <= 1.1 * msOf(sumOf(users, 'rows'), 1));
    }));

  it('never runs an expired request', () =>
    always((plan, world) => {
      assert.ok(takenBy(plan, world).every(({ deadlineMs = Infinity }) => deadlineMs > t0));
      if (plan.kind === 'wait') assert.ok(plan.forMs > 0);
    }));

  it('runs each request within a bounded time, although more urgent requests keep arriving', () => {
    const arrival = fc.record({
      tier: fc.constantFrom('interactive' as const, 'bulk' as const),
      group: fc.constantFrom('a', 'b', undefined),
      deadlineInMs: fc.option(fc.integer({ min: 150, max: 400 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(arrival, { minLength: 5, maxLength: 20 }), anyCosts, (arrivals, costs) => {
        const patients = (['interactive', 'bulk'] as const).map((tier) => waiting({ tier, group: 'old' }));
        let queue: readonly Waiting[] = patients;
        let bulkRanAtMs = -Infinity;
        let nowMs = t0;
        // One worker needs 100 ms for each run, and a request arrives every 100 ms.
        for (let turn = 0; turn < 130; turn += 1, nowMs += 100) {
          const { deadlineInMs, ...more } = arrivals[turn % arrivals.length]!;
          const deadlineMs = deadlineInMs === undefined ? undefined : nowMs + deadlineInMs;
          queue = [...queue, waiting({ ...more, enqueuedAtMs: nowMs, deadlineMs })];
          const plan = planBatch(queue, roomy, costs, { ...now, nowMs, bulkRanAtMs });
          if (plan.kind === 'run' && plan.tier === 'bulk') bulkRanAtMs = nowMs;
          const gone = new Set(plan.kind === 'run' ? plan.take : plan.kind === 'drop' ? plan.drop : []);
          queue = queue.filter((_, position) => !gone.has(position));
        }
        assert.deepEqual(
          patients.filter((one) => queue.includes(one)),
          [],
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe('planWhileBusy', () => {
  it('drops expired requests although no worker is free', () =>
    assert.deepEqual(planWhileBusy([waiting({ deadlineMs: t0 })], t0), { kind: 'drop', drop: [0] }));
  it('waits for the next deadline', () =>
    assert.deepEqual(planWhileBusy([waiting(), waiting({ deadlineMs: t0 + 7 })], t0), { kind: 'wait', forMs: 7 }));
});
