/**
 * The ledger of a model: the blocks of every pod, complete although reports are missed or repeated and the operator
 * restarts.
 *
 * Terms: a block is 20 s of time, in which a pod counts its requests. A report has the blocks that the sidecar still
 * holds, its ring. The window is the time in which two revisions are compared. The operator writes the ledger to the
 * cluster now and then, and reads the last written one after a restart.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { ratioBuckets, type Report } from '../../../../api/report.ts';
import { emptyLedger, fold, type BlockReport } from '../../../../operator/analysis/ledger.ts';
import { planOf } from '../../../../operator/analysis/plan.ts';
import { knownOf, type Scene } from '../../../../operator/gates/evidence.ts';
import { packLedger, unpackLedger } from '../../../../operator/gates/kept-ledger.ts';
import { keepEveryMs, ModelLedger, type Written } from '../../../../operator/gates/model-ledger.ts';
import { find, shownResultsOf } from '../../../../operator/gates/reading.ts';
import { reportsOfPods, type Shape } from '../../../support/block-reports.ts';

const revisions = ['stable', 'candidate'] as const;
/** First block of the window. The judge learns from the blocks before it how much stable differs between minutes. */
const window = 9000;
const begin = window - 12;
const blocks = 36;
/**
 * Number of blocks in a sidecar's ring. As in production (30 min), the ring is longer than the interval between two
 * writes plus the longest time without a pull. So every block is stored before it leaves the ring.
 */
const ring = 24;
const longestSilence = ring - keepEveryMs / 20_000 - 2;
const shape: Shape = { first: begin, blocks, pods: 2, perBlock: 30, factor: 1, failures: 0.01, seed: 11 };
const plan = planOf({ errors: { maxIncrease: '0.5%', max: '5%' } });
const asked = { window, plan, require: 'Pass' } as const;
const scene = {
  stable: 'stable',
  candidate: 'candidate',
  window,
  weight: 50,
  router: 'Service',
  ready: { candidate: 2, stable: 2 },
} as const;

const whole = [...reportsOfPods('stable', shape), ...reportsOfPods('candidate', { ...shape, factor: 1.15, seed: 12 })];

/** The report that a pod's sidecar sends in block `at`, with the blocks of its ring. */
function told(
  { pod, bootId, revision, blocks: counts }: BlockReport,
  at: number,
): { readonly pod: string; readonly report: Report } {
  const since = Math.max(begin, at - ring + 1);
  return {
    pod,
    report: {
      schema: 1,
      bootId,
      seq: at,
      revision,
      blocks: { since, until: at, counts: counts.filter(({ index }) => index >= since && index <= at) },
    },
  };
}

function judged(ledger: Scene['ledger'], from = 0) {
  return shownResultsOf(find(asked, knownOf({ ...scene, ledger, from })));
}

type Tick = { readonly heard: readonly boolean[]; readonly restart: boolean; readonly again: number };
type Loss = { readonly pod: number; readonly at: number };

/**
 * An operator that misses some reports, receives others twice and restarts. `expected` is a ledger with all data, for
 * comparison.
 */
class Life {
  ledger = new ModelLedger(revisions);
  expected = emptyLedger;
  #quiet = whole.map(() => 0);
  #stored: Written | undefined;
  readonly #loss: Loss;

  constructor(loss: Loss) {
    this.#loss = loss;
  }

  tick(at: number, { heard, restart, again }: Tick): void {
    whole.forEach((_, n) => this.#hearSome(n, at, heard[n] ?? false));
    if (this.#isThere(again, at) && this.#quiet[again] === 0) this.#hear(again, at);
    const present = new Set(whole.filter((_, n) => this.#isThere(n, at)).map(({ pod }) => pod));
    if (at >= window) this.ledger.keep({ window, present, now: at * 20_000 });
    this.#stored = this.ledger.written ?? this.#stored;
    // Do not restart in the block before a pod is lost: the pod's last blocks would only be in memory.
    if (restart && at !== this.#loss.at - 1) this.#beginAnew(at);
  }

  #isThere(n: number, at: number): boolean {
    return n !== this.#loss.pod || at < this.#loss.at;
  }

  /**
   * Reads the pod's report or misses it. The operator always reads the last report of a pod. It also always reads a
   * report if unread blocks would otherwise leave the ring.
   */
  #hearSome(n: number, at: number, heard: boolean): void {
    const must =
      (this.#quiet[n] ?? 0) >= longestSilence ||
      at === begin + blocks - 1 ||
      (n === this.#loss.pod && at === this.#loss.at - 1);
    if (this.#isThere(n, at) && (heard || must)) this.#hear(n, at);
    else this.#quiet = this.#quiet.with(n, (this.#quiet[n] ?? 0) + 1);
  }

  #hear(n: number, at: number): void {
    const pod = whole[n]!;
    this.#quiet = this.#quiet.with(n, 0);
    this.ledger.hear(pod.pod, told(pod, at).report);
    this.expected = fold(this.expected, {
      ...pod,
      since: begin,
      until: at,
      blocks: pod.blocks.filter(({ index }) => index <= at),
    });
  }

  #beginAnew(at: number): void {
    const stored = this.#stored;
    const kept = stored === undefined ? undefined : unpackLedger(stored.text);
    this.ledger = new ModelLedger(
      revisions,
      kept === undefined || stored === undefined ? undefined : { ...kept, ...stored },
    );
    whole.forEach((_, n) => {
      if (this.#isThere(n, at)) this.#hear(n, at);
    });
  }
}

describe("a model's ledger", () => {
  const tick = fc.record<Tick>({
    heard: fc.array(fc.boolean(), { minLength: whole.length, maxLength: whole.length }),
    restart: fc.boolean(),
    again: fc.nat({ max: whole.length - 1 }),
  });
  const loss = fc.record<Loss>({
    pod: fc.nat({ max: whole.length - 1 }),
    at: fc.integer({ min: window + 1, max: begin + blocks - 3 }),
  });

  it('gives the verdicts of the complete data after late, repeated and lost reports and restarts', () => {
    fc.assert(
      fc.property(fc.array(tick, { minLength: blocks, maxLength: blocks }), loss, (ticks, lost) => {
        const life = new Life(lost);
        ticks.forEach((one, i) => life.tick(begin + i, one));
        assert.deepEqual(judged(life.ledger.ledger, life.ledger.from), judged(life.expected));
      }),
      { numRuns: 15 },
    );
  });

  it('ignores reports of revisions that are not compared', () => {
    const ledger = new ModelLedger(revisions);
    ledger.hear('other-0', {
      schema: 1,
      bootId: 'b',
      seq: 1,
      revision: 'other',
      blocks: { since: 1, until: 2, counts: [] },
    });
    assert.deepEqual([ledger.ledger, ledger.version], [{}, 0]);
  });

  const windowMs = window * 20_000;
  it('does not take back blocks that were forgotten', () => {
    const ledger = new ModelLedger(revisions);
    ledger.forgetBefore(begin + 20);
    ledger.hear('stable-0', told(whole[0]!, begin + 30).report);
    const [boot] = Object.values(ledger.ledger);
    assert.deepEqual(boot?.heard, [[begin + 20, begin + 30]]);
    assert.ok(Object.values(boot?.blocks ?? {}).every(({ index }) => index >= begin + 20));
  });

  const filled = (): ModelLedger => {
    const ledger = new ModelLedger(revisions);
    for (const pod of whole) ledger.hear(pod.pod, told(pod, begin + 30).report);
    return ledger;
  };
  const all = new Set(whole.map(({ pod }) => pod));
  // prettier-ignore
  const cases: readonly { readonly name: string; readonly present?: ReadonlySet<string>;
    readonly now: number; readonly writes: boolean }[] = [
    { name: 'is not stored again while every pod exists and five minutes have not passed',
      now: keepEveryMs - 1, writes: false },
    { name: 'is stored after five minutes', now: keepEveryMs, writes: true },
    { name: 'is stored when a pod with blocks of the window went away',
      present: new Set(['stable-0', 'stable-1', 'candidate-0']), now: 20_000, writes: true },
    { name: 'is stored at most every 20 s, even when pods go away',
      present: new Set(), now: 19_999, writes: false },
  ];
  const newsAt = (ledger: ModelLedger, block: number): void => ledger.hear('stable-0', told(whole[0]!, block).report);
  for (const { name, present = all, now, writes } of cases) {
    it(name, () => {
      const ledger = filled();
      assert.equal(ledger.keep({ window, present: all, now: windowMs }), true, 'a window that begins is written down');
      newsAt(ledger, begin + 31);
      const before = ledger.written;
      assert.equal(ledger.keep({ window, present, now: windowMs + now }), writes);
      assert.equal(ledger.written !== before, writes);
    });
  }

  it('is stored once for a pod that went away, and not again without new reports', () => {
    const ledger = filled();
    const present = new Set(['stable-0', 'stable-1', 'candidate-0']);
    assert.equal(ledger.keep({ window, present, now: windowMs }), true);
    newsAt(ledger, begin + 31);
    assert.equal(ledger.keep({ window, present, now: windowMs + 40_000 }), false);
    assert.equal(ledger.keep({ window, present, now: windowMs + keepEveryMs }), true);
    assert.equal(ledger.keep({ window, present, now: windowMs + 2 * keepEveryMs }), false);
  });

  it('is stored when a pod restarted, because its ring is empty now', () => {
    const ledger = filled();
    ledger.keep({ window, present: all, now: windowMs });
    ledger.hear('candidate-0', { ...told(whole[2]!, begin + 32).report, bootId: 'second' });
    assert.equal(ledger.keep({ window, present: all, now: windowMs + 20_000 }), true);
  });

  it('is stored when another window begins', () => {
    const ledger = filled();
    ledger.keep({ window, present: all, now: windowMs });
    newsAt(ledger, begin + 31);
    assert.equal(ledger.keep({ window: window + 10, present: all, now: windowMs + 200_000 }), true);
  });

  it('uses the age of the copy that another process stored', () => {
    const ledger = filled();
    ledger.keep({ window, present: all, now: windowMs });
    const { written } = ledger;
    const next = new ModelLedger(
      revisions,
      written === undefined ? undefined : { ...(unpackLedger(written.text) ?? { from: 0, ledger: {} }), ...written },
    );
    newsAt(next, begin + 31);
    assert.equal(next.keep({ window, present: all, now: windowMs + keepEveryMs - 1 }), false);
    assert.equal(next.keep({ window, present: all, now: windowMs + keepEveryMs }), true);
  });
});

describe('a ledger as text', () => {
  const ledger = whole.reduce(fold, emptyLedger);

  it('is equal after it was written and read', () => {
    const { text } = packLedger({ from: 17, ledger }, window);
    assert.deepEqual(unpackLedger(text), { from: 17, ledger });
    assert.deepEqual(
      packLedger({ from: 17, ledger: Object.fromEntries(Object.entries(ledger).toReversed()) }, window).text,
      text,
    );
  });

  it('keeps pairs of service times, by source', () => {
    const ratios = (counts: Record<string, number>) => ({
      base: ratioBuckets.base,
      growth: ratioBuckets.growth,
      counts,
    });
    const paired = { Replay: ratios({ '0': 1, '396': 2 }), Probe: ratios({ '197': 3, '198': 40, '201': 1 }) };
    const more = fold(ledger, {
      pod: 'candidate-0',
      bootId: 'pairs',
      revision: 'candidate',
      since: window,
      until: window,
      blocks: [
        {
          index: window,
          seq: 1,
          traffic: [
            {
              tier: 'default',
              sizeClass: 0,
              latency: { base: 1e-4, growth: 1.02, counts: {} },
              ok: 0,
              errors: {},
              paired,
            },
          ],
        },
      ],
    });
    assert.deepEqual(unpackLedger(packLedger({ from: 0, ledger: more }, window).text), { from: 0, ledger: more });
  });

  it('of an earlier operator is readable', () => {
    const line =
      readFileSync(new URL('../../../fixtures/upgrade/held.jsonl', import.meta.url), 'utf8')
        .split('\n')
        .find((one) => one.includes('"ledger":')) ?? assert.fail('no ledger');
    const { data } = JSON.parse(line) as { readonly data: { readonly ledger: string } };
    const kept = unpackLedger(data.ledger);
    // The ledger has one pod for each of two revisions.
    assert.equal(Object.keys(kept?.ledger ?? {}).length, 2);
    assert.deepEqual(packLedger(kept ?? assert.fail(), kept?.from ?? 0).text, data.ledger);
  });

  it('gives the same verdicts when a sidecar counted in other buckets', () => {
    const other = whole.map((report) => ({
      ...report,
      blocks: report.blocks.map((block) => ({
        ...block,
        traffic: block.traffic.map((row) => ({
          ...row,
          latency: { base: 1e-3, growth: 1.05, counts: { '60': row.ok } },
        })),
      })),
    }));
    const before = other.reduce(fold, emptyLedger);
    assert.deepEqual(
      judged(unpackLedger(packLedger({ from: 0, ledger: before }, window).text)?.ledger ?? {}),
      judged(before),
    );
  });

  it('drops the oldest blocks of both revisions when it is too long, in memory too', () => {
    const long = whole.map((report) => ({ ...report, blocks: report.blocks })).reduce(fold, emptyLedger);
    const size = packLedger({ from: 0, ledger: long }, window).text.length;
    const packed = packLedger({ from: 0, ledger: long }, window, { chars: Math.floor(size / 2) });
    assert.ok(packed.text.length <= size / 2 && packed.text.length > size / 4);
    assert.ok(packed.from > window && (packed.from - window) % 3 === 0);
    for (const boot of Object.values(packed.ledger))
      assert.deepEqual(
        [boot.heard[0]?.[0], Math.min(...Object.values(boot.blocks).map(({ index }) => index))],
        [packed.from, packed.from],
      );
    assert.deepEqual(unpackLedger(packed.text), { from: packed.from, ledger: packed.ledger });
    const known = knownOf({ ...scene, ledger: packed.ledger, from: packed.from });
    assert.equal(known.firstBlock, packed.from);
    assert.deepEqual(known.lostBlocks, []);
  });

  it('drops the oldest blocks when the JSON is too long to be read again, even if it compresses well', () => {
    const jsonBytes = 20_000;
    const packed = packLedger({ from: 0, ledger }, window, { jsonBytes });
    const json = gunzipSync(Buffer.from(packed.text, 'base64'));
    assert.ok(json.length <= jsonBytes && json.length > jsonBytes / 4, `${json.length} bytes`);
    assert.ok(packed.from > window);
    assert.deepEqual(unpackLedger(packed.text), { from: packed.from, ledger: packed.ledger });
  });

  it('does not take back dropped blocks', () => {
    const packed = packLedger({ from: 0, ledger }, window, { chars: 4000 });
    const again = new ModelLedger(revisions, { ...packed, window, atMs: 0 });
    for (const pod of whole)
      again.hear(pod.pod, {
        schema: 1,
        bootId: pod.bootId,
        seq: 1,
        revision: pod.revision,
        blocks: { since: pod.since, until: pod.until, counts: pod.blocks },
      });
    assert.deepEqual(again.ledger, packed.ledger);
  });

  it('is within the limit for any number of pods', () => {
    const many = reportsOfPods('stable', { ...shape, pods: 40, blocks: 6, perBlock: 30 }).reduce(fold, emptyLedger);
    assert.ok(packLedger({ from: 0, ledger: many }, window, { chars: 300 }).text.length <= 300);
  });

  for (const [name, text] of [
    ['empty', ''],
    ['not base64', '§§'],
    ['not gzip', 'aGVsbG8='],
    ['of another version', Buffer.from('x').toString('base64')],
  ] as const) {
    it(`is undefined when it is ${name}`, () => assert.equal(unpackLedger(text), undefined));
  }

  it('is undefined when its content has another format', async () => {
    const { gzipSync } = await import('node:zlib');
    const packed = (value: unknown): string => gzipSync(JSON.stringify(value)).toString('base64');
    for (const value of [
      {},
      [2, 0, []],
      [1, -1, []],
      [1, 0, [['a', ['p', 'r', [[1, 'x']], []]]]],
      [1, 0, [['a', ['p', 'r', [], [[1, 1, [['t', 1, 1, [], null, null, 0, '']]]]]]]],
      [1, 0, [['a', ['p', 'r', [], [[1, 1, [['t', 1, 1, {}, null, null, 0, 'a,b']]]]]]]],
    ]) {
      assert.equal(unpackLedger(packed(value)), undefined, JSON.stringify(value));
    }
    assert.deepEqual(unpackLedger(packed([1, 0, []])), { from: 0, ledger: {} });
  });
});
