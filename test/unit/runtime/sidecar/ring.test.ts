/**
 * Which block a count belongs to, which blocks are complete, and that no count is lost or counted twice. A block is
 * 20 s of time; the ring holds a pod's latest blocks.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseReport } from '../../../../api/parse-report.ts';
import type { BlockCount, Blocks, Traffic } from '../../../../api/report.ts';
import { emptyLedger, fold, type Ledger } from '../../../../operator/analysis/ledger.ts';
import { Counters } from '../../../../runtime/call/counters.ts';
import {
  attributableMs,
  blocksOf,
  maxBlocks,
  nextRing,
  ringLimitBytes,
  withComparison,
  withPair,
  type Ring,
} from '../../../../runtime/sidecar/ring.ts';

const blockMs = 20_000;
/** The index of a block in November 2023, and the block's start time. */
const first = 85_000_000;
const begin = first * blockMs;

/** A runtime that counts, and a sidecar with its own clocks that reads it. */
class Pod {
  ring: Ring | undefined;
  counters = new Counters();
  bootId = 'boot-1';
  wallMs = begin;
  monotonicMs = 5_000;

  wait(ms: number): this {
    this.wallMs += ms;
    this.monotonicMs += ms;
    return this;
  }

  serve(requests: number, elements = 64): this {
    for (let i = 0; i < requests; i += 1) this.counters.record({ kind: 'Ok', elements, seconds: 0.01 * (1 + (i % 7)) });
    return this;
  }

  fail(kind: 'bug' | 'overloaded'): this {
    this.counters.record({ kind: 'Error', elements: 64, outcome: kind });
    return this;
  }

  restart(): this {
    this.counters = new Counters();
    this.bootId = `boot-${Number(this.bootId.slice(5)) + 1}`;
    return this;
  }

  read(traffic: readonly Traffic[] = this.counters.snapshot()): this {
    this.ring = nextRing(
      this.ring,
      { bootId: this.bootId, traffic },
      { wallMs: this.wallMs, monotonicMs: this.monotonicMs },
    );
    return this;
  }

  get blocks(): Blocks | undefined {
    return blocksOf(this.ring);
  }
}

function sumOf(counts: readonly BlockCount[]): { requests: number; errors: number; bucketed: number } {
  const cells = counts.flatMap(({ traffic }) => traffic);
  const total = (maps: readonly Readonly<Record<string, number>>[]): number =>
    maps.flatMap((map) => Object.values(map)).reduce((sum, n) => sum + n, 0);
  return {
    requests: cells.reduce((sum, { ok }) => sum + ok, 0),
    errors: total(cells.map(({ errors }) => errors)),
    bucketed: total(cells.map(({ latency }) => latency.counts)),
  };
}

/** The first and last block, and the number of successful requests per block. Block indexes are relative to `first`. */
function shape(blocks: Blocks | undefined): { since: number; until: number; ok: Record<number, number> } | undefined {
  if (blocks === undefined) return undefined;
  const ok = Object.fromEntries(
    blocks.counts.map(({ index, traffic }) => [index - first, traffic.reduce((sum, cell) => sum + cell.ok, 0)]),
  );
  return { since: blocks.since - first, until: blocks.until - first, ok };
}

type Row = { readonly name: string; readonly run: (pod: Pod) => Pod; readonly want: ReturnType<typeof shape> };

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'assigns counts between two readings to the block of the later one',
    run: (pod) => pod.read().wait(1_000).serve(3).read().wait(20_000).read().wait(
      1_000).serve(4).read(), want: { since: 0, until: 1, ok: { 0: 3, 1: 4 } } },
  { name: 'has a complete first block when the runtime has counted nothing yet',
    run: (pod) => pod.wait(7_000).read(), want: { since: 0, until: 0, ok: {} } },
  { name: 'has no complete block when the runtime had counts at the first reading',
    run: (pod) => pod.serve(9).read().wait(1_000).serve(1).read(), want: undefined },
  { name: 'starts at the next block when the runtime had counts at the first reading',
    run: (pod) => pod.serve(9).wait(19_500).read().wait(1_000).serve(2).read(),
    want: { since: 1, until: 1, ok: { 1: 2 } } },
  { name: 'has no entry for a complete block without counts',
    run: (pod) => pod.read().wait(1_000).serve(1).read().wait(20_000).read().wait(20_000).read().wait(
      1_000).serve(1).read(), want: { since: 0, until: 2, ok: { 0: 1, 2: 1 } } },
  { name: 'starts again after a restart of the runtime',
    run: (pod) => pod.read().serve(5).wait(1_000).read().wait(20_000).restart().read().wait(
      1_000).serve(2).read(), want: { since: 1, until: 1, ok: { 1: 2 } } },
  { name: 'assigns a difference across a block boundary after half a block',
    run: (pod) => pod.wait(15_000).read().serve(6).wait(attributableMs).read(),
    want: { since: 0, until: 1, ok: { 1: 6 } } },
  { name: 'drops blocks when a difference may belong to either of two',
    run: (pod) => pod.wait(15_000).read().serve(6).wait(
      attributableMs + 1).read().wait(20_000).serve(1).read(), want: undefined },
  { name: 'drops blocks after a long gap between readings with counts, and continues after it',
    run: (pod) => pod.read().wait(1_000).serve(1).read().serve(50).wait(45_000).read().wait(
      19_000).read().wait(1_000).serve(3).read(), want: { since: 3, until: 3, ok: { 3: 3 } } },
  { name: 'keeps its blocks after a long gap between readings without counts',
    run: (pod) => pod.read().wait(1_000).serve(1).read().wait(
      60_000).read(), want: { since: 0, until: 3, ok: { 0: 1 } } },
  { name: 'assigns the counts of a long gap inside one block',
    run: (pod) => pod.read().serve(8).wait(19_000).read(), want: { since: 0, until: 0, ok: { 0: 8 } } },
  { name: 'drops blocks when counters have decreased',
    run: (pod) => pod.read().serve(5).wait(1_000).read().read([]).wait(
      20_000).read([]), want: { since: 1, until: 1, ok: {} } },
  { name: 'stays in its block when the clock is set back by less than a block',
    run: (pod) => { pod.wait(20_000).read().serve(1).wait(500).read(); pod.wallMs -= 1_000;
      return pod.serve(2).read(); }, want: { since: 1, until: 1, ok: { 1: 3 } } },
  { name: 'drops its blocks when the clock is set ahead by minutes',
    run: (pod) => { pod.read().serve(1).wait(500).read(); pod.wallMs += 300_000;
      return pod.serve(2).read().wait(20_000).read(); }, want: { since: 16, until: 16, ok: {} } },
  { name: 'drops its blocks when the clock is set back by minutes',
    run: (pod) => { pod.wait(400_000).read().serve(1).wait(500).read();
      pod.wallMs -= 300_000; return pod.serve(2).read().wait(20_000).read().serve(
      4).wait(1_000).read(); }, want: { since: 6, until: 6, ok: { 6: 4 } } },
];

describe('nextRing', () => {
  for (const { name, run, want } of rows) it(name, () => assert.deepEqual(shape(run(new Pod()).blocks), want));

  it('counts errors by kind, and size classes separately', () => {
    const { blocks } = new Pod()
      .read()
      .serve(2)
      .serve(3, 1000)
      .fail('bug')
      .fail('overloaded')
      .fail('bug')
      .wait(1_000)
      .read();
    assert.deepEqual(
      blocks?.counts.flatMap(({ traffic }) =>
        traffic.map(({ tier, sizeClass, ok, errors }) => ({ tier, sizeClass, ok, errors })),
      ),
      [
        { tier: 'default', sizeClass: 64, ok: 2, errors: { bug: 2, overloaded: 1 } },
        { tier: 'default', sizeClass: 1024, ok: 3, errors: {} },
      ],
    );
  });

  it('gives every change a higher number, also after blocks were dropped', () => {
    const pod = new Pod().read().serve(1).wait(1_000).read();
    const [one] = pod.blocks?.counts ?? [];
    pod.serve(1).wait(1_000).read();
    const [two] = pod.blocks?.counts ?? [];
    pod.serve(1).wait(50_000).read().wait(20_000).read().serve(1).wait(1_000).read();
    const [three] = pod.blocks?.counts ?? [];
    assert.ok(one!.seq < two!.seq && two!.seq < three!.seq);
    pod.wait(1_000).read();
    assert.equal(pod.blocks?.counts[0]?.seq, three!.seq);
  });

  for (const [name, change] of [
    ['bucket', { latency: { base: 1e-4, growth: 1.02, counts: { 7: 3, 8: 9 } }, ok: 12 }],
    ['kind of error', { errors: { bug: 1, transient: 9 } }],
    ['width of buckets', { latency: { base: 1e-4, growth: 1.1, counts: { 7: 4 } } }],
  ] as const) {
    it(`drops blocks when one ${name} is not as before, although the others have grown`, () => {
      const before: Traffic = {
        tier: 'default',
        sizeClass: 4,
        latency: { base: 1e-4, growth: 1.02, counts: { 7: 4 } },
        ok: 4,
        errors: { bug: 2 },
        shed: 0,
      };
      const pod = new Pod().read([]).wait(1_000).read([before]);
      assert.equal(pod.blocks?.counts.length, 1);
      pod.wait(1_000).read([{ ...before, ...change }]);
      assert.equal(pod.blocks, undefined);
    });
  }

  it('keeps half an hour', () => {
    const pod = new Pod().read();
    for (let i = 0; i < 200; i += 1) pod.serve(1).wait(10_000).read();
    const { since, until, counts } = pod.blocks!;
    assert.equal(until - since + 1, maxBlocks);
    assert.equal(counts.length, maxBlocks);
  });

  it('drops its oldest blocks above ringLimitBytes', () => {
    const wide = (n: number): Traffic[] =>
      Array.from({ length: 10 }, (_, i) => ({
        tier: 'default',
        sizeClass: 2 ** i,
        latency: {
          base: 1e-4,
          growth: 1.02,
          counts: Object.fromEntries(Array.from({ length: 300 }, (_v, bucket) => [bucket, n])),
        },
        ok: 300 * n,
        errors: {},
        shed: 0,
      }));
    const pod = new Pod().read([]);
    for (let n = 1; n <= 90; n += 1) pod.wait(10_000).read(wide(n)).wait(10_000).read(wide(n));
    const { since, until, counts } = pod.blocks!;
    assert.ok(until - since + 1 < maxBlocks);
    assert.equal(counts[0]?.index, since);
    assert.ok(JSON.stringify(pod.blocks).length <= ringLimitBytes);
    assert.equal(parseReport({ schema: 1, bootId: 'b', seq: 1, revision: 'r', blocks: pod.blocks }).kind, 'report');
  });

  it('drops a block with more classes than a report may have', () => {
    const many = (n: number): Traffic[] =>
      Array.from({ length: 65 }, (_, i) => ({
        tier: `t${i}`,
        sizeClass: 1,
        latency: { base: 1e-4, growth: 1.02, counts: { 5: n } },
        ok: n,
        errors: {},
        shed: 0,
      }));
    const pod = new Pod().read([]).wait(1_000).read(many(1));
    assert.equal(pod.blocks, undefined);
  });
});

describe('blocksOf', () => {
  const pod = new Pod().read();
  for (let i = 0; i < 6; i += 1) pod.serve(5).wait(10_000).read().wait(10_000).read();

  it('returns only the blocks from the requested one on', () => {
    const blocks = blocksOf(pod.ring, first + 4);
    assert.deepEqual(
      [blocks?.since, blocks?.until, blocks?.counts.map(({ index }) => index)],
      [first + 4, first + 6, [first + 4, first + 5]],
    );
  });

  it('never starts before the first complete block', () => assert.equal(blocksOf(pod.ring, 0)?.since, first));
  it('is undefined for a block that has not begun', () => assert.equal(blocksOf(pod.ring, first + 7), undefined));

  it('keeps the newest blocks that fit, and moves since to the oldest of them', () => {
    const whole = JSON.stringify(blocksOf(pod.ring)).length;
    const some = blocksOf(pod.ring, 0, whole / 2);
    assert.ok(JSON.stringify(some).length <= whole / 2);
    assert.ok(some!.counts.length > 0);
    assert.equal(some?.since, some!.counts[0]!.index);
    assert.equal(some?.until, first + 6);
  });

  it('has only the blocks without counts at the end when not even the newest entry fits', () =>
    assert.deepEqual(blocksOf(pod.ring, 0, 10), { since: first + 6, until: first + 6, counts: [] }));
});

describe('withComparison', () => {
  it('counts comparisons in the block of the last reading, under tier and size class', () => {
    const pod = new Pod().read().serve(1).wait(1_000).read();
    pod.ring = withComparison(pod.ring!, { tier: 'default', sizeClass: 64, agrees: true });
    pod.ring = withComparison(pod.ring, { tier: 'default', sizeClass: 64, agrees: false });
    pod.ring = withComparison(pod.ring, { tier: 'default', sizeClass: 128, agrees: false });
    pod.serve(1).wait(1_000).read();
    assert.deepEqual(
      pod.blocks?.counts[0]?.traffic.map(({ sizeClass, ok, compared, disagreed }) => ({
        sizeClass,
        ok,
        compared,
        disagreed,
      })),
      [
        { sizeClass: 64, ok: 2, compared: 2, disagreed: 1 },
        { sizeClass: 128, ok: 0, compared: 1, disagreed: 1 },
      ],
    );
  });

  it('ignores counts before the first complete block', () => {
    const pod = new Pod().serve(1).read();
    assert.equal(withComparison(pod.ring!, { tier: 'default', sizeClass: 64, agrees: true }), pod.ring);
  });
});

describe('withPair', () => {
  const pair = { tier: 'default', sizeClass: 0, source: 'Probe', ratio: 1 } as const;

  it('adds ratios by source to the block of the last reading, without counting a request', () => {
    const pod = new Pod().read().serve(1).wait(1_000).read();
    for (const one of [pair, pair, { ...pair, ratio: 2 }, { ...pair, source: 'Replay', sizeClass: 64 } as const])
      pod.ring = withPair(pod.ring!, one);
    const traffic = pod.blocks?.counts[0]?.traffic ?? [];
    assert.deepEqual(
      traffic.map(({ sizeClass, ok, paired = {} }) => ({
        sizeClass,
        ok,
        paired: Object.fromEntries(Object.entries(paired).map(([source, { counts }]) => [source, counts])),
      })),
      [
        { sizeClass: 64, ok: 1, paired: { Replay: { 198: 1 } } },
        { sizeClass: 0, ok: 0, paired: { Probe: { 198: 2, 233: 1 } } },
      ],
    );
    assert.equal(parseReport({ schema: 1, bootId: 'b', seq: 1, revision: 'r', blocks: pod.blocks }).kind, 'report');
  });

  it('ignores counts before the first complete block', () => {
    const pod = new Pod().serve(1).read();
    assert.equal(withPair(pod.ring!, pair), pod.ring);
  });
});

type Step = {
  readonly waitMs: number;
  readonly requests: number;
  readonly elements: number;
  readonly fail: boolean;
  readonly pulled: boolean;
  readonly forgets: boolean;
};

const step = fc.record({
  waitMs: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 300, max: 4_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 9_000, max: 70_000 }) },
  ),
  requests: fc.integer({ min: 0, max: 5 }),
  elements: fc.constantFrom(1, 60, 64, 5000),
  fail: fc.boolean(),
  pulled: fc.boolean(),
  /** Whether the operator restarts: it then reads the ring from its first block on. */
  forgets: fc.boolean(),
});

function play(steps: readonly Step[], each: (pod: Pod, step: Step) => void): Pod {
  const pod = new Pod().read();
  for (const one of steps) {
    pod.serve(one.requests, one.elements).wait(one.waitMs);
    if (one.fail) pod.fail('bug');
    pod.read();
    each(pod, one);
  }
  return pod;
}

describe('a ring of blocks', () => {
  it('holds every count since its first complete block exactly once', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let [requests, errors, seqOfClaim] = [0, 0, first];
        play(steps, (pod, one) => {
          requests += one.requests;
          errors += Number(one.fail);
          const since = pod.ring!.since;
          // The ring's first block has changed: blocks were dropped because of a gap, or because the ring is full.
          // Count only the blocks that it still holds.
          if (since !== seqOfClaim) {
            const left = sumOf(pod.ring!.held.map(({ count }) => count));
            [requests, errors] = [left.requests, left.errors];
          }
          seqOfClaim = since;
          if (since > pod.ring!.readBlock) [requests, errors] = [0, 0];
          assert.deepEqual(sumOf(pod.blocks?.counts ?? []), { requests, errors, bucketed: requests });
        });
      }),
      { numRuns: 200 },
    );
  });

  it('gives the same ledger for any sequence of pulls whose pauses are shorter than the ring', () => {
    const slow = fc.array(step, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(slow, (steps) => {
        let [often, seldom, heardUntil]: [Ledger, Ledger, number | undefined] = [emptyLedger, emptyLedger, undefined];
        const reportOf = (blocks: Blocks, pod: Pod) => ({
          pod: 'p',
          bootId: pod.bootId,
          revision: 'r',
          since: blocks.since,
          until: blocks.until,
          blocks: blocks.counts,
        });
        let whole = true;
        const end = play(steps, (pod, one) => {
          if (pod.ring!.since !== first) whole = false;
          const all = blocksOf(pod.ring);
          if (all !== undefined) often = fold(often, reportOf(all, pod));
          if (one.forgets) heardUntil = undefined;
          const some = one.pulled
            ? blocksOf(pod.ring, heardUntil === undefined ? undefined : heardUntil - 2)
            : undefined;
          if (some === undefined) return;
          seldom = fold(seldom, reportOf(some, pod));
          heardUntil = some.until;
        });
        fc.pre(whole && end.blocks !== undefined);
        seldom = fold(
          seldom,
          reportOf(blocksOf(end.ring, heardUntil === undefined ? undefined : heardUntil - 2)!, end),
        );
        assert.deepEqual(seldom, often);
      }),
      { numRuns: 200 },
    );
  });
});
