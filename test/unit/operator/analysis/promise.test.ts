/**
 * The promise: the expected duration of a step of a rollout, and which regressions it can find, computed when the step
 * begins.
 */
import assert from 'node:assert/strict';
import { Random } from '../../../../bench/canary/random.ts';
import { historyBefore } from '../../../../operator/analysis/history.ts';
import {
  addCount,
  addInto,
  latencyBucketOf,
  emptyHistogram,
  reportScale,
} from '../../../../operator/analysis/log-histogram.ts';
import { lookAt } from '../../../../operator/analysis/look.ts';
import { noHistory } from '../../../../operator/analysis/noise.ts';
import { planOf, type GatesSpec } from '../../../../operator/analysis/plan.ts';
import { promiseOf, type Outlook, type Past } from '../../../../operator/analysis/promise.ts';
import type { Cell } from '../../../../operator/analysis/series.ts';

const first = 90;
const failureRate = 0.002;

type World = {
  readonly perMinute: number;
  readonly seed: number;
  readonly factor?: number;
  readonly failures?: number;
};
type Serving = {
  readonly revision: string;
  readonly pods: number;
  readonly perBlock: number;
  readonly blocks: readonly [from: number, to: number];
};

function cellsOf(
  random: Random,
  { revision, pods, perBlock, blocks: [from, to] }: Serving,
  { factor = 1, failures = failureRate }: Partial<World> = {},
): Cell[] {
  return Array.from({ length: to - from }, (_, i) => from + i).flatMap((block) =>
    Array.from({ length: pods }, (_, pod): Cell => {
      const latency = emptyHistogram(reportScale);
      const requests = random.poisson(perBlock / pods);
      let failed = 0;
      for (let i = 0; i < requests; i++) {
        if (random.uniform() < failures) failed += 1;
        else addCount(latency, latencyBucketOf(reportScale, Math.log(20 * factor) + 0.5 * random.normal()), 1);
      }
      return {
        pod: `${revision}-${pod}`,
        block,
        tier: 'interactive',
        sizeClass: 64,
        latency,
        requests,
        failures: failed,
        compared: 0,
        disagreed: 0,
      };
    }),
  );
}

function pastOf(cells: readonly Cell[], requestsPerMinute: number): Past {
  const latency = emptyHistogram(reportScale);
  for (const cell of cells) addInto(latency, cell.latency);
  return { requestsPerMinute, failureRate, latency, history: historyBefore(first, cells) };
}

const halves: Omit<Outlook, 'plan' | 'require'> = {
  share: 0.5,
  pods: { candidate: 2, stable: 2 },
  loadIsEqual: true,
  maxBlocks: 90,
};
const stableIn = (random: Random, perMinute: number): Cell[] =>
  cellsOf(random, { revision: 's', pods: 2, perBlock: perMinute / 3, blocks: [0, first] });
const promised = (perMinute: number, more: Partial<Outlook> & { readonly gates?: GatesSpec } = {}) => {
  const { gates, ...outlook } = more;
  return promiseOf(pastOf(stableIn(new Random(3), perMinute), perMinute), {
    plan: planOf(gates),
    require: 'Pass',
    ...halves,
    ...outlook,
  });
};

/** Simulates a step with this seed. Returns its result and its length. */
function lived(
  { perMinute, seed, ...candidate }: World,
  { plan, require, share, pods, loadIsEqual, maxBlocks }: Outlook,
): { readonly step: string; readonly minutes: number } {
  const random = new Random(seed, perMinute);
  const history = historyBefore(first, stableIn(random, perMinute));
  const both = {
    candidate: cellsOf(
      random,
      { revision: 'c', pods: pods.candidate, perBlock: (perMinute / 3) * share, blocks: [first, first + maxBlocks] },
      candidate,
    ),
    stable: cellsOf(random, {
      revision: 's',
      pods: pods.stable,
      perBlock: (perMinute / 3) * (1 - share),
      blocks: [first, first + maxBlocks],
    }),
  };
  for (let blocks = 3; blocks <= maxBlocks; blocks += 3) {
    const until = first + blocks;
    const known = (cell: Cell): boolean => cell.block < until;
    const window = {
      candidate: both.candidate.filter(known),
      stable: both.stable.filter(known),
      firstBlock: first,
      lastBlock: until,
    };
    const { step } = lookAt(plan, { window, history, loadIsEqual, maxBlocks }, require);
    if (step !== 'Waiting') return { step, minutes: blocks / 3 };
  }
  return { step: 'Waiting', minutes: Infinity };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

describe('the promise of a step', () => {
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly perMinute: number;
    readonly runs: number; readonly outlook: Outlook }[] = [
    { name: 'at 500 requests a minute', perMinute: 500, runs: 9,
      outlook: { plan: planOf(), require: 'Pass', ...halves } },
    { name: 'at 100', perMinute: 100, runs: 15, outlook: { plan: planOf(), require: 'Pass', ...halves } },
    { name: 'at 20', perMinute: 20, runs: 9, outlook: { plan: planOf(), require: 'Pass', ...halves } },
    { name: 'at 100, for a NoFail step', perMinute: 100, runs: 15,
      outlook: { plan: planOf(), require: 'NoFail', ...halves, share: 1 / 3, pods: { candidate: 1, stable: 2 } } },
  ];
  for (const { name, perMinute, runs, outlook } of rows) {
    it(`names about the time that an identical revision takes ${name}`, () => {
      const took = median(Array.from({ length: runs }, (_, i) => lived({ perMinute, seed: i + 1 }, outlook).minutes));
      const [usual, unlucky] = promiseOf(pastOf(stableIn(new Random(3), perMinute), perMinute), outlook)?.minutes ?? [];
      assert.ok(usual !== undefined && usual !== null && unlucky !== undefined && unlucky !== null);
      assert.ok(took >= usual * 0.7 - 1 && took <= unlucky * 1.4 + 1, `took ${took}, promised ${usual} to ${unlucky}`);
    });
  }

  it('names an increase that is found in most cases, but half of it is not', () => {
    const outlook: Outlook = {
      plan: planOf({ latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }], errors: {} }),
      require: 'Pass',
      ...halves,
    };
    const found = promiseOf(pastOf(stableIn(new Random(3), 100), 100), outlook)?.gates[0]?.finds ?? NaN;
    const share = (increase: number): number =>
      Array.from({ length: 12 }, (_, i) =>
        lived({ perMinute: 100, seed: i + 1, factor: 1 + increase }, outlook),
      ).filter(({ step }) => step === 'Fail').length / 12;
    assert.ok(share(found) >= 0.6, `${share(found)} at +${found}`);
    assert.ok(share(found / 2) <= 0.5, `${share(found / 2)} at +${found / 2}`);
  });

  it('shows the limits if the traffic can, less with less traffic, and nothing at p99', () => {
    const shown = (perMinute: number): readonly (number | null)[] =>
      promised(perMinute)?.gates.map(({ shows }) => shows) ?? [];
    assert.deepEqual(shown(1000).slice(0, 2), [0.15, 0.01]);
    const [p95 = null, errors = null, p99] = shown(20);
    assert.ok(
      p95 !== null && p95 > 0.2 && p95 <= 1 && errors !== null && errors > 0.01 && errors <= 0.05,
      JSON.stringify(shown(20)),
    );
    assert.equal(p99, null);
  });

  it('reports that a step will not be decided, and what it could show', () => {
    const written = promised(20, {
      gates: { latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }], errors: { maxIncrease: '1%' } },
    });
    assert.deepEqual(written?.minutes, [null, null]);
    assert.ok((written.gates[0]?.shows ?? 0) > 0.15, 'the limit of the spec is kept, and not shown');
  });

  it('names the longer time of an unlucky candidate', () => {
    const [usual = null, unlucky = null] = promised(55)?.minutes ?? [];
    assert.ok(usual !== null && unlucky !== null && unlucky > usual && unlucky < 2 * usual, `${usual} to ${unlucky}`);
  });

  it('takes longer with a higher confidence', () => {
    const [strict, standard, quick] = (['Strict', 'Standard', 'Quick'] as const).map(
      (confidence) => promised(100, { gates: { confidence } })?.minutes[0] ?? Infinity,
    );
    assert.ok(
      (quick ?? NaN) < (standard ?? NaN) && (standard ?? NaN) < (strict ?? NaN),
      `${quick} ${standard} ${strict}`,
    );
  });

  it('includes that a candidate with less load may fail, but not pass', () => {
    const promise = promised(1000, { share: 0.05, pods: { candidate: 1, stable: 2 }, loadIsEqual: false });
    assert.deepEqual(promise?.minutes, [null, null]);
    assert.ok((promise.gates[0]?.finds ?? null) !== null);
    assert.notEqual(
      promised(1000, { require: 'NoFail', share: 0.05, pods: { candidate: 1, stable: 2 }, loadIsEqual: false })
        ?.minutes[0],
      null,
    );
    assert.equal(
      promised(1000, { share: 0.8, pods: { candidate: 1, stable: 2 }, loadIsEqual: false })?.gates[0]?.finds,
      null,
      'with more load it cannot fail',
    );
  });

  it('is undefined without traffic, and without a gate that compares', () => {
    const past = pastOf(stableIn(new Random(3), 100), 100);
    const asked: Outlook = { plan: planOf(), require: 'Pass', ...halves };
    assert.equal(promiseOf({ ...past, latency: emptyHistogram(reportScale) }, asked), undefined);
    assert.equal(promiseOf({ ...past, requestsPerMinute: 0 }, asked), undefined);
    assert.equal(promiseOf(past, { ...asked, share: 1 }), undefined);
  });

  it('leaves the agreement gate out: the past does not show how many answers will disagree', () => {
    const plan = planOf({ errors: {}, quality: { min: '0.98' } });
    assert.deepEqual(
      promiseOf(
        { ...pastOf(stableIn(new Random(3), 500), 500), history: () => noHistory },
        { plan, require: 'Pass', ...halves },
      )?.gates.map(({ gate }) => gate.name),
      ['p95', 'p99'],
    );
  });
});
