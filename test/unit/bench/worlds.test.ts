/** The simulated services of the canary bench: their noise, cold starts, queues and retries have the set numbers. */
import assert from 'node:assert/strict';
import { rateOf, type Arrivals } from '../../../bench/canary/arrivals.ts';
import { coldFactor, LazyCompilation, type Cold } from '../../../bench/canary/cold.ts';
import { autoregression, hurst, minutesOf } from '../../../bench/canary/noise.ts';
import { Queue, queueDepth } from '../../../bench/canary/queue.ts';
import { Random } from '../../../bench/canary/random.ts';
import { quiet, type Scenario } from '../../../bench/canary/scenarios.ts';
import { unseenSame, unseenSlower } from '../../../bench/canary/unseen.ts';
import { World, type PodSlice, type Slice } from '../../../bench/canary/world.ts';
import { reportScale } from '../../../operator/analysis/log-histogram.ts';

function worldOf(
  scenario: Partial<Scenario>,
  { rate = 1000, seed = 1 }: { readonly rate?: number; readonly seed?: number } = {},
): World {
  return new World({ scenario: { ...quiet, ...scenario }, requestsPerMinute: rate, sampleRate: 0 }, seed);
}

function named(name: string): Scenario {
  const found = [...unseenSame, ...unseenSlower].find((one) => one.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

function slices(world: World, minutes: number, weight = 0.5): readonly Slice[] {
  return Array.from({ length: minutes * 12 }, () => world.next(weight));
}

const lnOf = (bucket: number): number => reportScale.lnLow + reportScale.lnStep * (bucket + 0.5);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const variance = (values: readonly number[]): number => {
  const middle = mean(values);
  return mean(values.map((value) => (value - middle) ** 2));
};
const lnLatencies = (pods: readonly PodSlice[]): readonly number[] => pods.flatMap(({ buckets }) => buckets.map(lnOf));
const requests = (pods: readonly PodSlice[]): number => pods.reduce((sum, pod) => sum + pod.requests, 0);

function near(value: number, wanted: number, tolerance: number): void {
  assert.ok(Math.abs(value - wanted) <= tolerance, `${value} is not within ${tolerance} of ${wanted}`);
}

function minutes(process: 'autoregressive' | 'fractional', count: number, seed: number): readonly number[] {
  const draw = minutesOf(process, 0.1);
  const random = new Random(seed);
  return Array.from({ length: count }, () => draw(random));
}

describe('noise that lasts', () => {
  it('has the given deviation and the autocorrelation of its process', () => {
    const series = Array.from({ length: 60 }, (_, seed) => minutes('autoregressive', 500, seed)).flat();
    near(Math.sqrt(variance(series)), 0.1, 0.005);
    const products = series.slice(1).map((value, i) => value * (series[i] ?? 0));
    near(mean(products) / variance(series), autoregression, 0.03);
  });

  it('is fractional: means over m minutes vary by m^(2H-2), minute 1 as much as minute 250', () => {
    const paths = Array.from({ length: 800 }, (_, seed) => minutes('fractional', 256, seed));
    const varianceOfMeans = (m: number): number => mean(paths.map((path) => mean(path.slice(0, m)) ** 2));
    near(varianceOfMeans(1), 0.01, 0.0015);
    near(mean(paths.map((path) => (path[255] ?? 0) ** 2)), 0.01, 0.0015);
    const slope = Math.log(varianceOfMeans(256) / varianceOfMeans(4)) / Math.log(64);
    near(1 + slope / 2, hurst, 0.03);
  });

  it('is shared by a revision or separate for each pod', () => {
    const spread = (scenario: Partial<Scenario>): number => {
      const last = slices(worldOf({ shape: 'constant', pods: 2, ...scenario }), 5).at(-1)?.stable ?? [];
      return Math.abs(mean(lnLatencies(last.slice(0, 1))) - mean(lnLatencies(last.slice(1))));
    };
    const process = 'autoregressive' as const;
    near(spread({ lasting: { kind: process, revision: 0.5, pod: 0 } }), 0, 1e-9);
    assert.ok(spread({ lasting: { kind: process, revision: 0, pod: 0.5 } }) > 0.05);
  });
});

describe('cold starts', () => {
  // prettier-ignore
  const shapes: readonly [name: string, cold: Cold, bySeconds: readonly (readonly [number, number])[]][] = [
    ['an exponential one never ends completely', { shape: 'exponential', factor: 3,
      minutes: 1 }, [[0, 3], [60, 1 + 2 / Math.E], [600, 1.0001]]],
    ['a decay has a twentieth left and then ends',
      { shape: 'decay', factor: 3, minutes: 5 }, [[0, 3], [299.9, 1.1], [300, 1]]],
    ['a linear one falls evenly', { shape: 'linear', factor: 3, minutes: 5 }, [[0, 3], [150, 2], [300, 1]]],
    ['a step ends at once', { shape: 'step', factor: 2, minutes: 2 }, [[0, 2], [119, 2], [120, 1]]],
    ['a sawtooth jumps up each minute, lower each time',
      { shape: 'sawtooth', factor: 3, minutes: 5 }, [[0, 3], [59.9, 1], [60, 2.6], [300, 1]]],
  ];
  for (const [name, cold, points] of shapes) {
    it(name, () => {
      for (const [seconds, factor] of points) near(coldFactor(cold, seconds), factor, 0.01);
    });
  }

  it('are slow for the first requests of each kind of input', () => {
    const lazy = new LazyCompilation(5);
    const firstKind = Array.from({ length: 12 }, () => lazy.next(0.3));
    assert.deepEqual(firstKind, [...Array.from({ length: 10 }, () => 5), 1, 1]);
    assert.equal(lazy.next(0.99), 5);
    for (const draw of [0.7, 0.9, 0.97]) for (let i = 0; i < 10; i++) lazy.next(draw);
    assert.ok(lazy.isDone);
  });

  it("begin with a pod's first traffic", () => {
    const world = worldOf({ ...named('coldStep'), shape: 'constant' });
    for (let i = 0; i < 36; i++) world.next(0.5, { candidate: 1, stable: 1 });
    const [warm, fresh] = world.next(0.5, { candidate: 2, stable: 1 }).candidate;
    near(mean(lnLatencies([fresh ?? assert.fail()])) - mean(lnLatencies([warm ?? assert.fail()])), Math.LN2, 0.02);
  });
});

describe('pods as queues', () => {
  it('wait as the Pollaczek-Khinchine formula says', () => {
    for (const utilisation of [0.5, 0.7]) {
      const world = worldOf({ queue: { utilisation, patience: 0, retries: 0 } });
      const all = slices(world, 200, 0)
        .flatMap(({ stable }) => lnLatencies(stable))
        .map(Math.exp);
      const serviceMs = utilisation * 60;
      // The mean wait by the Pollaczek-Khinchine formula. Lognormal service times with σ = 0.5 have the squared
      // coefficient of variation e^0.25 - 1.
      const waitMs = (utilisation * serviceMs * Math.exp(0.25)) / (2 * (1 - utilisation));
      near(mean(all) / (serviceMs + waitMs), 1, 0.05);
    }
  });

  it('are equally busy at every weight, and less with less load', () => {
    const world = worldOf({ pods: 2, queue: { utilisation: 0.9, patience: 0, retries: 0 } });
    const median = (pods: readonly PodSlice[]): number =>
      lnLatencies(pods).toSorted((a, b) => a - b)[Math.floor(lnLatencies(pods).length / 2)] ?? 0;
    const last = slices(world, 60, 0.05);
    assert.ok(median(last.flatMap(({ stable }) => stable)) > median(last.flatMap(({ candidate }) => candidate)) + 0.5);
  });

  it('refuse requests beyond their length, and serve in order', () => {
    const queue = new Queue();
    const one = { sizeClass: 1, attempt: 0 };
    for (let i = 0; i < queueDepth; i++) assert.ok(queue.arrive(0, 1, one));
    assert.equal(queue.arrive(0, 1, one), false);
    assert.deepEqual(
      queue.take(2.5).map(({ latencySeconds }) => latencySeconds),
      [1, 2],
    );
    assert.ok(queue.arrive(2.5, 1, one));
    assert.equal(queue.take(1000).length, queueDepth - 1);
  });

  it('get retries from clients that timed out, and lose requests only by refusal', () => {
    const storm = { ...named('retryStorms'), pods: 2 };
    const told = (retries: number): { readonly requests: number; readonly failures: number } => {
      const queue = { ...(storm.queue ?? assert.fail()), retries };
      const all = slices(worldOf({ ...storm, queue }), 120).flatMap(({ candidate, stable }) => [
        ...candidate,
        ...stable,
      ]);
      return { requests: requests(all), failures: all.reduce((sum, pod) => sum + pod.failures, 0) };
    };
    const [patient, storming] = [told(0), told(2)];
    assert.ok(patient.failures > 0.01 * patient.requests);
    assert.ok(storming.requests > patient.requests + 0.5 * patient.failures);
  });
});

describe('uneven arrivals', () => {
  const processes: readonly Arrivals[] = [
    { kind: 'gamma', shape: 0.5, seconds: 20 },
    { kind: 'switching', busy: 1.8, busySeconds: 30, calmSeconds: 60 },
  ];
  for (const arrivals of processes) {
    it(`of ${arrivals.kind} keep the mean rate`, () => {
      const rate = rateOf(arrivals, new Random(4));
      const factors = Array.from({ length: 40_000 }, (_, i) => rate.at(i * 20));
      near(mean(factors), 1, 0.03);
      assert.ok(variance(factors) > 0.2);
    });
  }

  it('come in bursts to both revisions at once', () => {
    const all = slices(worldOf(named('gammaArrivals'), { rate: 6000 }), 60);
    const pairs = all.map(({ candidate, stable }) => [requests(candidate), requests(stable)] as const);
    const [own, other] = [pairs.map(([one]) => one), pairs.map(([, one]) => one)];
    const [middle, otherMiddle] = [mean(own), mean(other)];
    const covariance = mean(pairs.map(([a, b]) => (a - middle) * (b - otherMiddle)));
    assert.ok(covariance / Math.sqrt(variance(own) * variance(other)) > 0.95);
  });
});

describe('unequal requests', () => {
  it('are counted by size class, each with its own difference', () => {
    const all = slices(worldOf({ ...named('classes-rare3'), shape: 'constant' }), 60);
    const of = (side: 'candidate' | 'stable', sizeClass: number) =>
      all.flatMap((slice) => slice[side].filter((pod) => pod.sizeClass === sizeClass));
    near(requests(of('stable', 8)) / requests(all.flatMap(({ stable }) => stable)), 0.03, 0.004);
    near(mean(lnLatencies(of('candidate', 1))) - mean(lnLatencies(of('stable', 1))), 0, 0.01);
    near(mean(lnLatencies(of('candidate', 8))) - mean(lnLatencies(of('stable', 8))), Math.log(3), 0.02);
  });

  it('are slow in one of a hundred requests of the candidate', () => {
    const all = slices(worldOf({ ...named('tenTimes1%'), shape: 'constant' }), 60);
    const slow = (side: 'candidate' | 'stable'): number =>
      mean(lnLatencies(all.flatMap((slice) => slice[side])).map((ln) => (ln > Math.log(100) ? 1 : 0)));
    near(slow('candidate'), 0.01, 0.002);
    assert.equal(slow('stable'), 0);
  });
});

describe('the list of unseen scenarios', () => {
  it('names each once', () => {
    const names = [...unseenSame, ...unseenSlower].map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  });

  it('gives the same service for the same seed, and another for another seed', () => {
    for (const scenario of unseenSame) {
      const first = (seed: number) => JSON.stringify(slices(worldOf(scenario, { rate: 200, seed }), 2));
      assert.equal(first(3), first(3), scenario.name);
      assert.notEqual(first(3), first(4), scenario.name);
    }
  });

  it('has pods with permanent differences in both revisions', () => {
    const differences = Array.from({ length: 300 }, (_, seed) => {
      const { candidate, stable } = worldOf({ ...named('unlike10'), shape: 'constant' }, { seed }).next(0.5);
      return mean(lnLatencies(candidate)) - mean(lnLatencies(stable));
    });
    near(Math.sqrt(variance(differences)), 0.1 * Math.SQRT2, 0.015);
  });
});
