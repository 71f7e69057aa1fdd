/**
 * What the pairs of service times show about a candidate (the new revision), and what they cannot show. A pair is the
 * service times of the candidate and of stable, the serving revision, for the same request. A block is 20 s of time.
 */
import assert from 'node:assert/strict';
import { ratioBucketOf } from '../../../../api/report.ts';
import { Random } from '../../../../bench/canary/random.ts';
import { addCount, emptyHistogram, sumOf } from '../../../../operator/analysis/log-histogram.ts';
import { tuning } from '../../../../operator/analysis/constants.ts';
import { noHistory } from '../../../../operator/analysis/noise.ts';
import { combined, judgePaired, type PairedQuestion } from '../../../../operator/analysis/paired.ts';
import { ratioScale } from '../../../../operator/analysis/paired-series.ts';
import type { LatencySeries } from '../../../../operator/analysis/series.ts';
import type { PairedResult } from '../../../../operator/analysis/verdict.ts';

type Draw = (at: { readonly block: number; readonly random: Random }) => number;

/** @param draw draws the ratio of one pair: the candidate's time divided by stable's */
function seriesOf(blocks: number, perBlock: number, draw: Draw): LatencySeries {
  const random = new Random(92, blocks, perBlock);
  const made = Array.from({ length: blocks }, (_, block) => {
    const histogram = emptyHistogram(ratioScale);
    for (let i = 0; i < perBlock; i += 1) addCount(histogram, ratioBucketOf(draw({ block, random })), 1);
    return histogram;
  });
  const total = sumOf(ratioScale, made);
  return { blocks: made, total, pods: [total] };
}

function questionOf(series: LatencySeries, change: Partial<PairedQuestion> = {}): PairedQuestion {
  return {
    paired: { series, counts: { Probe: series.total.total } },
    limit: 0.15,
    toShow: 0.15,
    early: 0.5,
    quantile: 0.95,
    alpha: 0.0075,
    passAlpha: 0.0075,
    known: series.blocks.length,
    history: noHistory,
    stablePods: 1,
    nodes: 'Shared',
    podDeviations: tuning.podDeviations,
    isTooEarlyToFail: false,
    warmBlocks: 20,
    ...change,
  };
}

const times =
  (factor: number): Draw =>
  ({ random }) =>
    factor * Math.exp(0.5 * (random.normal() - random.normal()));

type Row = {
  readonly name: string;
  readonly blocks: number;
  readonly perBlock: number;
  readonly draw: Draw;
  readonly change?: Partial<PairedQuestion>;
  readonly want: readonly [string, string?];
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'is undecided with a few pairs', blocks: 9, perBlock: 2,
    draw: times(3), want: ['Undecided', 'TooFewRequests'] },
  { name: 'shows that a candidate is not slower', blocks: 90, perBlock: 20, draw: times(1), want: ['Pass'] },
  { name: 'is undecided when a few minutes are not enough', blocks: 9,
    perBlock: 20, draw: times(1), want: ['Undecided', 'Uncertain'] },
  { name: 'passes sooner when a Pass must show less', blocks: 45, perBlock: 20,
    draw: times(1), change: { toShow: 0.3 }, want: ['Pass'] },
  { name: 'fails a candidate that takes half as long again',
    blocks: 30, perBlock: 20, draw: times(1.5), want: ['Fail'] },
  { name: 'does not fail before failBlocks', blocks: 30, perBlock: 20, draw: times(1.5),
    change: { isTooEarlyToFail: true }, want: ['Undecided', 'Uncertain'] },
  { name: 'does not fail by a slow node when pods may differ', blocks: 30, perBlock: 20,
    draw: times(1.4), change: { nodes: 'Unlike' }, want: ['Undecided', 'Uncertain'] },
  { name: 'does not fail by a stall of the candidate', blocks: 12, perBlock: 20,
    draw: (at) => (at.block < 8 ? 3 : 1) * times(1)(at), want: ['Undecided', 'Uncertain'] },
  { name: 'does not fail a candidate that gets faster', blocks: 12, perBlock: 20,
    draw: (at) => times(1 + 3 * Math.exp(-at.block / 4))(at), want: ['Undecided', 'Uncertain'] },
  { name: 'does not pass a candidate that is slow for one input in seven, whatever the median is',
    blocks: 90, perBlock: 20, draw: (at) => (at.random.uniform() < 0.15 ? 6 : 0.75) * times(1)(at),
    want: ['Undecided', 'Uncertain'] },
];

describe('judgePaired', () => {
  for (const { name, blocks, perBlock, draw, change, want } of rows) {
    it(name, () => {
      const { verdict, reason } = judgePaired(questionOf(seriesOf(blocks, perBlock, draw), change));
      assert.deepEqual([verdict, ...(reason === undefined ? [] : [reason])], want);
    });
  }

  it('does not fail by a stall with most of the pairs', () => {
    const blocks = Array.from(
      { length: 18 },
      (_, i) =>
        seriesOf(
          1,
          i === 8 || i === 9 ? 200 : 10,
          ({ random }) => (i === 8 || i === 9 ? 3 : 1) * Math.exp(0.05 * random.normal()),
        ).total,
    );
    const total = sumOf(ratioScale, blocks);
    const { verdict, estimate } = judgePaired(questionOf({ blocks, total, pods: [total] }));
    assert.ok((estimate ?? 0) > 1.5, `${estimate}`);
    assert.equal(verdict, 'Undecided');
  });

  it('does not pass by stalls of stable', () => {
    const stalled = seriesOf(60, 20, (at) => (at.block % 30 < 2 ? 0.02 : 1.12) * Math.exp(0.02 * at.random.normal()));
    const without = judgePaired(questionOf(seriesOf(60, 20, ({ random }) => 1.12 * Math.exp(0.02 * random.normal()))));
    assert.notEqual(without.verdict, 'Pass');
    assert.notEqual(judgePaired(questionOf(stalled)).verdict, 'Pass');
  });

  it('returns the typical slowdown with its bounds, and the number of pairs from each source', () => {
    const { pairs, counts, estimate, lower, upper } = judgePaired(questionOf(seriesOf(60, 20, times(1.25))));
    assert.deepEqual([pairs, counts], [1200, { Probe: 1200 }]);
    assert.ok(Math.abs((estimate ?? 0) - 0.25) < 0.05, `${estimate}`);
    assert.ok((lower ?? 1) < 0.25 && (upper ?? 0) > 0.25, `${lower} to ${upper}`);
  });

  it('has bounds that narrow with more pairs and widen with noise of minutes', () => {
    const widthOf = (series: LatencySeries): number => {
      const { lower, upper } = judgePaired(questionOf(series));
      return Math.log1p(upper ?? Infinity) - Math.log1p(lower ?? -1);
    };
    const noisy: Draw = (at) => times(1)(at) * Math.exp(0.3 * Math.sin(7 * Math.floor(at.block / 3)));
    assert.ok(widthOf(seriesOf(60, 20, times(1))) < widthOf(seriesOf(60, 5, times(1))));
    assert.ok(widthOf(seriesOf(60, 20, times(1))) < widthOf(seriesOf(60, 20, noisy)));
  });

  it('returns the inverse median for the inverse ratios', () => {
    const series = seriesOf(60, 20, times(1.5));
    const mirrored = seriesOf(60, 20, (at) => 1 / times(1.5)(at));
    const [one, other] = [judgePaired(questionOf(series)), judgePaired(questionOf(mirrored))];
    assert.ok(Math.abs(Math.log1p(one.estimate ?? 0) + Math.log1p(other.estimate ?? 0)) < 0.021);
  });
});

describe('live requests and pairs together', () => {
  type Live = {
    readonly verdict: 'Pass' | 'Fail' | 'Undecided';
    readonly reason?: 'Uncertain' | 'LoadUnequal';
    readonly early?: 'Shown' | 'Blind';
  };
  const pairs = (verdict: PairedResult['verdict'], early?: 'Shown' | 'Blind'): PairedResult => ({
    verdict,
    ...(early === undefined ? {} : { early }),
    pairs: 300,
    counts: { Probe: 300 },
    estimate: 0,
    lower: null,
    upper: null,
  });
  const open: Live = { verdict: 'Undecided', reason: 'Uncertain' };
  const together: readonly (readonly [string, Live, PairedResult, Live])[] = [
    ['fail if either fails', { verdict: 'Pass' }, pairs('Fail'), { verdict: 'Fail' }],
    ['fail if live requests fail, whatever pairs show', { verdict: 'Fail' }, pairs('Pass'), { verdict: 'Fail' }],
    ['pass by pairs when live requests are undecided', open, pairs('Pass'), { verdict: 'Pass' }],
    [
      'pass by pairs when unequal load prevents a live comparison',
      { verdict: 'Undecided', reason: 'LoadUnequal', early: 'Blind' },
      pairs('Pass', 'Shown'),
      { verdict: 'Pass', early: 'Shown' },
    ],
    [
      'are undecided with the live reason when neither decides',
      { ...open, early: 'Blind' },
      pairs('Undecided', 'Blind'),
      { ...open, early: 'Blind' },
    ],
    ['show the early promise if either does', open, pairs('Undecided', 'Shown'), { ...open, early: 'Shown' }],
    ['are not blind if pairs could have failed', { ...open, early: 'Blind' }, pairs('Undecided'), open],
  ];
  for (const [name, live, paired, want] of together) it(name, () => assert.deepEqual(combined(live, paired), want));
});
