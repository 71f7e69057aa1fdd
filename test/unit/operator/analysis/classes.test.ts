/**
 * Size classes: requests with inputs of a similar size are compared with each other, so a slower class is found even
 * when it has few of the requests.
 *
 * Terms: the candidate (the new revision) is compared with stable (the serving revision) in a window: blocks of 20 s in
 * which both get traffic.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Random } from '../../../../bench/canary/random.ts';
import { classesWithEnough, mostClasses, worstClass } from '../../../../operator/analysis/classes.ts';
import { judge, verdicts } from '../../../../operator/analysis/judge.ts';
import { addCount, latencyBucketOf, emptyHistogram, reportScale } from '../../../../operator/analysis/log-histogram.ts';
import { ratioScale } from '../../../../operator/analysis/paired-series.ts';
import { canPassByPairs } from '../../../../operator/analysis/paired.ts';
import { planOf, shadowOf } from '../../../../operator/analysis/plan.ts';
import type { Cell, Window } from '../../../../operator/analysis/series.ts';

type Traffic = {
  readonly tier?: string;
  readonly sizeClass: number;
  readonly perBlock: number;
  /** The candidate's latency divided by stable's; absent: 1. */ readonly factor?: number;
};

const blocks = 30;

/** A window in which both revisions get the same requests. Requests of larger size classes take longer. */
function windowOf(traffic: readonly Traffic[], seed = 1): Window {
  const random = new Random(seed);
  const cellsOf = (pod: string, isCandidate: boolean): Cell[] =>
    Array.from({ length: blocks }, (_, block) => block).flatMap((block) =>
      traffic.map(({ tier = 'interactive', sizeClass, perBlock, factor = 1 }): Cell => {
        const latency = emptyHistogram(reportScale);
        for (let i = 0; i < perBlock; i++)
          addCount(
            latency,
            latencyBucketOf(
              reportScale,
              Math.log(2 * Math.sqrt(sizeClass) * (isCandidate ? factor : 1)) + 0.5 * random.normal(),
            ),
            1,
          );
        return { pod, block, tier, sizeClass, latency, requests: perBlock, failures: 0, compared: 0, disagreed: 0 };
      }),
    );
  return { candidate: cellsOf('c', true), stable: cellsOf('s', false), firstBlock: 0, lastBlock: blocks - 1 };
}

const small = { sizeClass: 64, perBlock: 200 };
const gates = (eachClass: boolean) =>
  planOf(
    {
      latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%', minDetectable: '100%', eachClass }],
      errors: {},
      alpha: '0.05',
    },
    [{ analyze: { require: 'Pass' } }],
  );
const evidenceOf = (window: Window) => ({ window, loadIsEqual: true, nodes: 'Shared' as const });
/** Ten minutes in which one size class, with a tenth of the requests, is three times as slow in the candidate. */
const hidden = windowOf([small, { sizeClass: 16, perBlock: 20, factor: 3 }]);
const even = windowOf([small, { sizeClass: 16, perBlock: 20 }]);

describe('the worst class of requests', () => {
  it('is named with how much slower it is', () => {
    const worst = worstClass(hidden, 0.95);
    assert.deepEqual([worst?.tier, worst?.sizeClass, worst?.candidateRequests], ['interactive', 16, 600]);
    assert.ok(Math.abs((worst?.estimate ?? 0) - 2) < 0.5, JSON.stringify(worst));
  });

  it('is not named where classes differ only by chance', () => {
    const named = Array.from({ length: 40 }, (_, i) =>
      worstClass(windowOf([small, { sizeClass: 16, perBlock: 20 }, { sizeClass: 1024, perBlock: 10 }], i + 1), 0.95),
    ).filter((found) => found !== undefined);
    assert.ok(named.length <= 1, `${named.length} of 40`);
  });

  const rows: readonly { name: string; traffic: readonly Traffic[] }[] = [
    { name: 'there is one class', traffic: [{ ...small, factor: 3 }] },
    { name: 'the other has too few requests', traffic: [small, { sizeClass: 16, perBlock: 3, factor: 3 }] },
    {
      name: 'all classes are slower',
      traffic: [
        { ...small, factor: 2 },
        { sizeClass: 16, perBlock: 20, factor: 2 },
      ],
    },
  ];
  for (const { name, traffic } of rows)
    it(`is undefined where ${name}`, () => assert.equal(worstClass(windowOf(traffic), 0.95), undefined));
});

describe('a gate that judges each class', () => {
  it('fails for a small class that the mix does not show, and names the class', () => {
    assert.equal(verdicts(gates(false), { ...evidenceOf(hidden), maxBlocks: 30 })[0]?.verdict, 'Pass');
    const [result] = judge(gates(true), evidenceOf(hidden));
    assert.equal(result?.verdict, 'Fail');
    assert.deepEqual(result?.ofClass, { tier: 'interactive', sizeClass: 16 });
    assert.equal(result?.candidateRequests, 600);
    assert.ok((result?.lower ?? 0) > 0.15);
  });

  it('passes only when every class shows what a Pass must show', () => {
    const asked = (maxBlocks: number) => judge(gates(true), { ...evidenceOf(even), maxBlocks })[0];
    assert.equal(asked(90)?.verdict, 'Undecided', 'the small class cannot show 15 % yet');
    assert.deepEqual(asked(90)?.ofClass, { tier: 'interactive', sizeClass: 16 });
    assert.equal(asked(30)?.verdict, 'Pass', 'the step is nearly over: 100 % is enough');
    assert.equal(asked(30)?.ofClass, undefined);
  });

  it('is not passed by pairs, which do not show classes', () => {
    const ratios = emptyHistogram(ratioScale);
    for (let i = 0; i < 600; i++) addCount(ratios, latencyBucketOf(ratioScale, ((i % 11) - 5) / 50), 1);
    const blocksOfPairs = Array.from({ length: blocks }, () => ({
      ...ratios,
      counts: ratios.counts.map((count) => count / blocks),
      total: ratios.total / blocks,
    }));
    const paired = { series: { blocks: blocksOfPairs, total: ratios, pods: [ratios] }, counts: { Probe: 600 } };
    const asked = (eachClass: boolean) => judge(gates(eachClass), { ...evidenceOf(even), paired })[0];
    assert.deepEqual(
      [asked(false)?.paired?.verdict, asked(false)?.verdict, asked(true)?.paired?.verdict, asked(true)?.verdict],
      ['Pass', 'Pass', 'Undecided', 'Undecided'],
    );
    const [inShadow] = judge(shadowOf(gates(true)), {
      ...evidenceOf(even),
      window: { ...windowOf([]), candidate: [], stable: [] },
      loadIsEqual: false,
      paired,
    });
    assert.deepEqual(
      [inShadow?.verdict, inShadow?.early],
      ['Undecided', 'Shown'],
      'good pairs do not delay a NoFail step in a shadow step',
    );
  });

  it('delays a NoFail step while a slow candidate may still be warming up, also with one class', () => {
    const slow = windowOf([{ ...small, factor: 3 }]);
    const soon = 5;
    const first = (cells: readonly Cell[]) => cells.filter(({ block }) => block < soon);
    const window = { ...slow, candidate: first(slow.candidate), stable: first(slow.stable), lastBlock: soon - 1 };
    const early = (eachClass: boolean) => judge(gates(eachClass), evidenceOf(window))[0]?.early;
    assert.deepEqual([early(false), early(true)], ['Blind', 'Blind']);
  });

  it('is passed by pairs up to p95: pairs cannot show a tail', () => {
    const of = (quantile: number, more: object = {}) => canPassByPairs({ quantile, ...more });
    assert.deepEqual(
      [
        of(0.5),
        of(0.95),
        of(0.99),
        of(0.99, { atMost: 1 }),
        of(0.99, { atMost: Infinity }),
        of(0.5, { eachClass: true }),
      ],
      [true, true, false, false, true, false],
    );
  });

  it('gives the mix half of its α, and each of sixteen classes a part of the other half', () => {
    const [result] = judge(gates(true), evidenceOf(even));
    assert.equal(result?.alpha, 0.025 / 16 + 0.05);
  });

  it('judges the first sixteen classes with enough requests, and keeps this choice later', () => {
    const many = Array.from({ length: 20 }, (_, i) => ({ sizeClass: 2 ** i, perBlock: 40 - i }));
    const window = windowOf(many);
    const until = (block: number) =>
      classesWithEnough(
        {
          candidate: window.candidate.filter((cell) => cell.block <= block),
          stable: window.stable.filter((cell) => cell.block <= block),
        },
        0.95,
      );
    assert.equal(until(blocks).length, mostClasses);
    for (let block = 0; block < blocks; block++)
      assert.deepEqual(until(blocks).slice(0, until(block).length), until(block));
  });

  it('gives the same result for every order of the counts', () => {
    const truth = judge(gates(true), evidenceOf(hidden));
    fc.assert(
      fc.property(fc.shuffledSubarray([...hidden.candidate], { minLength: hidden.candidate.length }), (candidate) => {
        assert.deepEqual(judge(gates(true), evidenceOf({ ...hidden, candidate })), truth);
      }),
      { numRuns: 10, seed: 5 },
    );
  });
});
