/**
 * How pairs (the service times of two revisions for the same request) are added up by block (20 s of time) and by pod.
 * The counts by which the gates judge live requests do not include the pairs.
 */
import assert from 'node:assert/strict';
import { ratioBuckets, type BlockCount, type PairedRatios } from '../../../../api/report.ts';
import { cellsOf, emptyLedger, fold, type Ledger } from '../../../../operator/analysis/ledger.ts';
import { lnQuantileOf } from '../../../../operator/analysis/log-histogram.ts';
import { lnRatioOffset, pairedSeries } from '../../../../operator/analysis/paired-series.ts';

const ratios = (counts: Record<string, number>) => ({ base: ratioBuckets.base, growth: ratioBuckets.growth, counts });
const latency = { base: 1e-4, growth: 1.02, counts: {} };
const block = (index: number, paired: PairedRatios, ok = 0): BlockCount => ({
  index,
  seq: 1,
  traffic: [
    {
      tier: 'default',
      sizeClass: 0,
      latency: { ...latency, counts: ok === 0 ? {} : { 200: ok } },
      ok,
      errors: {},
      paired,
    },
  ],
});

function ledgerOf(...pods: readonly (readonly [string, readonly BlockCount[]])[]): Ledger {
  return pods.reduce(
    (ledger, [pod, blocks]) => fold(ledger, { pod, bootId: 'b', revision: 'candidate', since: 10, until: 20, blocks }),
    emptyLedger,
  );
}

const ledger = ledgerOf(
  [
    'a',
    [
      block(9, { Probe: ratios({ 198: 9 }) }),
      block(10, { Probe: ratios({ 198: 2 }), Replay: ratios({ 233: 1 }) }),
      block(12, { Probe: ratios({ 163: 4 }) }),
    ],
  ],
  ['b', [block(12, { Shadow: ratios({ 198: 1 }) }, 5)]],
);

describe('pairedSeries', () => {
  it('adds up all sources by block and by pod, and returns the number from each source', () => {
    const found = pairedSeries(ledger, 'candidate', { first: 10, last: 12 });
    assert.deepEqual(
      found?.series.blocks.map(({ total }) => total),
      [3, 0, 5],
    );
    assert.deepEqual(
      found.series.pods.map(({ total }) => total),
      [7, 1],
    );
    assert.deepEqual([found.series.total.total, found.counts], [8, { Replay: 1, Probe: 6, Shadow: 1 }]);
  });

  it('leaves lost blocks out', () => {
    const found = pairedSeries(ledger, 'candidate', { first: 10, last: 12, lost: [10] });
    assert.deepEqual([found?.series.total.total, found?.counts], [5, { Probe: 4, Shadow: 1 }]);
  });

  it('is undefined without pairs, and ignores pairs of another revision', () => {
    assert.equal(pairedSeries(ledger, 'candidate', { first: 13, last: 20 }), undefined);
    assert.equal(pairedSeries(ledger, 'stable', { first: 10, last: 12 }), undefined);
  });

  it('reads the same ratio that was counted', () => {
    const doubled = pairedSeries(ledgerOf(['a', [block(10, { Probe: ratios({ 233: 100 }) })]]), 'candidate', {
      first: 10,
      last: 10,
    });
    const ln = lnQuantileOf(doubled!.series.total, 0.5) - lnRatioOffset;
    assert.ok(Math.abs(ln - 35 * Math.log(1.02)) < 1e-9, `${Math.exp(ln)}`);
  });
});

describe("a ledger's cells", () => {
  it('contain no pairs: a row with only pairs gives no cell', () => {
    const cells = cellsOf(ledger, 'candidate');
    assert.deepEqual(
      cells.map(({ block: at, requests }) => [at, requests]),
      [[12, 5]],
    );
  });
});
