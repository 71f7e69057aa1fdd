/**
 * The last stage of a Pass, at the end of a step. It exists for the default p95 and errors gates, not for gates of the
 * spec. If the candidate's estimate is good, such a gate passes with a higher limit for the upper bound than in earlier
 * stages.
 *
 * Terms: a gate limits one measure of the candidate (the new revision) against stable (the serving revision). It passes
 * when the upper bound of the measure is low enough; a stage is a part of the step's time with one value of "low
 * enough". A block is 20 s of time.
 */
import assert from 'node:assert/strict';
import { askedOfLatency, askedOfRate } from '../../../support/asked.ts';
import { quiet, type Scenario } from '../../../../bench/canary/scenarios.ts';
import { lasting, queues } from '../../../../bench/canary/unseen.ts';
import { rollOut, type Outcome } from '../../../../bench/canary/rollout.ts';
import { World } from '../../../../bench/canary/world.ts';
import { LatencyJudgement } from '../../../../operator/analysis/latency.ts';
import {
  addCount,
  latencyBucketOf,
  emptyHistogram,
  reportScale,
  sumOf,
} from '../../../../operator/analysis/log-histogram.ts';
import { noHistory } from '../../../../operator/analysis/noise.ts';
import { lastToShow, laterToShow, planOf, type Confidence, type Last } from '../../../../operator/analysis/plan.ts';
import { RateJudgement } from '../../../../operator/analysis/rate.ts';
import type { LatencySeries } from '../../../../operator/analysis/series.ts';

const p95 = { atMost: 1, atLast: 3 } as const;
const last: Last = { toShow: 3, looks: Math.sqrt(0.15) };
/** The numbers of blocks of 20 s in 28 and in 29 minutes. */
const [twentyEight, twentyNine] = [84, 87] as const;

describe('the last stage of a Pass', () => {
  const rows: readonly {
    readonly name: string;
    readonly wider?: object;
    readonly known: number;
    readonly maxBlocks?: number;
    readonly confidence?: Confidence;
    readonly is: boolean;
  }[] = [
    { name: 'begins after twenty-eight minutes', known: twentyEight, is: true },
    { name: 'does not begin earlier', known: twentyEight - 1, is: false },
    { name: 'begins sooner in a shorter step', known: 14, maxBlocks: 15, is: true },
    { name: 'begins after half of the time with Quick', known: 45, confidence: 'Quick', is: true },
    { name: 'does not begin with Strict', known: 89, confidence: 'Strict', is: false },
    { name: 'does not begin for a minDetectable of the spec', known: 89, wider: { atMost: 1 }, is: false },
  ];
  for (const { name, wider = p95, known, maxBlocks = 90, confidence = 'Standard', is } of rows)
    it(name, () =>
      assert.deepEqual(lastToShow(0.15, wider, planOf({ confidence }), { known, maxBlocks }), is ? last : undefined),
    );

  it('exists for the default p95 and errors gates, and not for a gate of the spec', () => {
    const latency = [{ name: 'p95', quantile: '0.95', maxIncrease: '15%', minDetectable: '100%' }];
    const of = (...asked: Parameters<typeof planOf>) =>
      planOf(...asked).gates.map((gate) => ('atLast' in gate ? gate.atLast : undefined));
    assert.deepEqual(of(), [3, 0.1, undefined]);
    assert.deepEqual(of({ latency }), [undefined, 0.1]);
    assert.deepEqual(of({ errors: { maxIncrease: '1%', minDetectable: '5%' } }), [3, undefined, undefined]);
  });

  // prettier-ignore
  const foretold = [
    { name: 'is announced for a candidate that looks good',
      known: 70, estimate: 0.1, later: { atBlock: 84, toShow: 3 } },
    { name: 'is not announced for a candidate that looks worse', known: 70, estimate: 0.5, later: undefined },
    { name: 'is not announced without an estimate', known: 70, estimate: null, later: undefined },
    { name: 'is announced after the stages before it', known: 40, estimate: 0.1, later: { atBlock: 66, toShow: 1 } },
    { name: 'is the last one', known: twentyNine, estimate: 0.1, later: undefined },
  ];
  for (const { name, known, estimate, later } of foretold)
    it(name, () => assert.deepEqual(laterToShow(0.15, p95, planOf(), { known, maxBlocks: 90, estimate }), later));
});

/** A window of 29 minutes with alternating minutes: ln latency is higher by `sd` in one, lower by `sd` in the next. */
function loud(factor: number, sd: number): LatencySeries {
  const blocks = Array.from({ length: twentyNine }, (_, block) => {
    const histogram = emptyHistogram(reportScale);
    const ln = Math.log(20 * factor) + (Math.floor(block / 3) % 2 === 0 ? sd : -sd);
    for (let i = 0; i < 160; i++) addCount(histogram, latencyBucketOf(reportScale, ln + ((i % 21) - 10) / 20), 1);
    return histogram;
  });
  const total = sumOf(reportScale, blocks);
  return { blocks, total, pods: [total] };
}

describe('a latency gate in its last stage', () => {
  const asked = (factor: number, more: { readonly last?: Last; readonly toShow: number }) =>
    new LatencyJudgement({
      ...askedOfLatency,
      ...more,
      candidate: loud(factor, 0.3),
      against: { stable: loud(1, 0), tolerance: 0.15 },
      quantile: 0.95,
      alpha: 0.01,
      known: twentyNine,
      history: noHistory,
    });
  it('passes a candidate that looks good, and returns what it had to show', () => {
    const [before, now] = [asked(0.75, { toShow: 1 }), asked(0.75, { toShow: 1, last })];
    const { estimate, upper, toShow } = now.numbers();
    assert.ok(
      (estimate ?? 1) < last.looks && (upper ?? 0) > 1 && (upper ?? 9) < 3,
      JSON.stringify({ estimate, upper }),
    );
    assert.deepEqual([before.decide().verdict, now.decide().verdict, toShow], ['Undecided', 'Pass', 3]);
  });
  it('does not pass a candidate that looks worse, for any bound', () => {
    const now = asked(1.12, { toShow: 1, last });
    const { estimate, upper, toShow } = now.numbers();
    assert.ok((estimate ?? 0) > last.looks && (upper ?? 9) < 3, JSON.stringify({ estimate, upper }));
    assert.deepEqual([now.decide().verdict, toShow], ['Undecided', 1]);
  });
});

describe('an errors gate in its last stage', () => {
  const asked = (errors: number, more: { readonly last?: Last }, perBlock = 2) => {
    const each = (value: (block: number) => number) => Array.from({ length: 40 }, (_, block) => value(block));
    return new RateJudgement({
      ...askedOfRate(0.05),
      ...more,
      candidate: {
        events: each((block) => (block % 4 === 0 && block < 4 * errors ? 1 : 0)),
        trials: each(() => perBlock),
      },
      against: { stable: { events: each(() => 0), trials: each(() => perBlock) }, increase: 0.01 },
      alpha: 0.01,
      known: 40,
      pods: { candidate: 1, stable: 1 },
    }).decide().verdict;
  };
  const errorsLast = { toShow: 0.1, looks: Math.sqrt(0.01 * 0.05) };
  it('passes with few requests and no error', () =>
    assert.deepEqual([asked(0, {}), asked(0, { last: errorsLast })], ['Undecided', 'Pass']));
  it('does not pass an estimate that looks worse, for any bound', () => {
    assert.equal(asked(8, { last: { ...errorsLast, looks: 1 } }, 8), 'Pass', 'the bound alone would pass');
    assert.equal(asked(8, { last: errorsLast }, 8), 'Undecided');
  });
});

describe('whole rollouts where minutes differ much', () => {
  const run = (scenario: Scenario, seed: number): Outcome =>
    rollOut(new World({ scenario: { ...scenario, pods: 2 }, requestsPerMinute: 1000, sampleRate: 0 }, seed), {
      scenario: { ...scenario, pods: 2 },
      replicas: 2,
      router: 'HTTPRoute',
      historyMinutes: 30,
      everyReport: false,
      podsEach: false,
    });
  const named = (name: string): Scenario => [...queues, ...lasting].find((one) => one.name === name) ?? quiet;
  const worlds = [named('queue0.7'), named('ar20'), { ...named('fgn20'), name: 'slower', slower: 1.4 }];
  let outcomes: readonly { readonly scenario: Scenario; readonly outcome: Outcome }[] = [];
  before(() => {
    outcomes = worlds.flatMap((scenario) => [1, 2].map((seed) => ({ scenario, outcome: run(scenario, seed) })));
  });

  it('end without a person: a candidate with a busy queue is promoted in the last stage', () => {
    const queued = outcomes.filter(({ scenario }) => scenario.name === 'queue0.7').map(({ outcome }) => outcome);
    assert.deepEqual(
      queued.map(({ ending }) => ending),
      ['Promoted', 'Promoted'],
    );
    assert.ok(queued.some(({ promotedOn }) => promotedOn?.[0]?.toShow === 3));
  });
  it('never show less than a Pass must, and pass no candidate in the last stage that does not look good', () => {
    for (const { scenario, outcome } of outcomes) {
      const [latency, errors] = outcome.promotedOn ?? [];
      for (const [result, looks, most] of [[latency, last.looks, 3] as const, [errors, 0.023, 0.1] as const]) {
        if (result === undefined) continue;
        assert.ok((result.upper ?? 9) <= result.toShow && result.toShow <= most, `${scenario.name} ${result.gate}`);
        if (result.toShow === most) assert.ok((result.estimate ?? 9) <= looks, `${scenario.name} ${result.gate}`);
      }
      assert.equal(outcome.isWronglyPromoted, false, scenario.name);
    }
  });
});
