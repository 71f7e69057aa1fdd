/**
 * The judge: the verdicts of the gates, and when a step of a rollout may end.
 *
 * Terms: the candidate (the new revision) is compared with stable (the serving revision) in a window: blocks of 20 s in
 * which both get traffic. A gate limits one measure; its verdict is Pass, Fail or Undecided. α is the probability that
 * a verdict may be wrong. The noise history is stable's time before the window.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Random } from '../../../../bench/canary/random.ts';
import { judge, stepVerdict, verdicts } from '../../../../operator/analysis/judge.ts';
import { present } from '../../../../api/present.ts';
import {
  cellsOf,
  emptyLedger,
  fold,
  forgetBefore,
  lostBlocks,
  type BlockReport,
  type Ledger,
} from '../../../../operator/analysis/ledger.ts';
import { planOf } from '../../../../operator/analysis/plan.ts';
import type { GateResult } from '../../../../operator/analysis/verdict.ts';
import { blockOf } from '../../../support/block-reports.ts';
import type { Window } from '../../../../operator/analysis/series.ts';

const first = 1000;

type Shape = {
  blocks: number;
  pods: number;
  perBlock: number;
  factor: number;
  failures: number;
  seed: number;
  classes?: readonly (readonly [sizeClass: number, perBlock: number])[];
};

/**
 * The reports of a revision's pods. For each block, a pod sends two reports with its last three blocks: in the first
 * report the newest block is half complete, in the second it is complete.
 */
function reportsOf(revision: string, shape: Shape): BlockReport[] {
  const random = new Random(shape.seed);
  const made: BlockReport[] = [];
  for (let pod = 0; pod < shape.pods; pod++) {
    const counts = Array.from({ length: shape.blocks }, (_, i) => blockOf(random, first + i, shape));
    counts.forEach((_, i) => {
      const half = {
        ...counts[i]!,
        seq: 1,
        traffic: counts[i]!.traffic.map((row) => ({ ...row, ok: Math.floor(row.ok / 2) })),
      };
      for (const newest of [half, counts[i]!]) {
        const blocks = [...counts.slice(Math.max(0, i - 2), i), newest];
        made.push({
          pod: `${revision}-${pod}`,
          bootId: 'boot',
          revision,
          since: Math.max(first, first + i - 2),
          until: first + i,
          blocks,
        });
      }
    });
  }
  return made;
}

function windowOf(ledger: Ledger, blocks: number): Window {
  return {
    candidate: cellsOf(ledger, 'candidate'),
    stable: cellsOf(ledger, 'stable'),
    firstBlock: first,
    lastBlock: first + blocks - 1,
    lostBlocks: lostBlocks(ledger, ['candidate', 'stable']),
  };
}

const latency = [{ name: 'p95', quantile: '0.95', maxIncrease: '15%' }];
const plan = planOf({ latency, errors: { maxIncrease: '0.5%', max: '2%' } });
const foldAll = (reports: readonly BlockReport[]): Ledger => reports.reduce(fold, emptyLedger);
const base: Shape = { blocks: 18, pods: 2, perBlock: 120, factor: 1, failures: 0.002, seed: 1 };
const bad: Shape = { ...base, factor: 1.6, failures: 0.06, seed: 2 };

describe('the judge', () => {
  const reports = [...reportsOf('stable', base), ...reportsOf('candidate', bad)];
  const truth = judge(plan, { window: windowOf(foldAll(reports), base.blocks), loadIsEqual: true });

  it('finds a slow, failing candidate and returns its numbers', () => {
    assert.deepEqual(
      truth.map(({ gate, verdict }) => ({ gate, verdict })),
      [
        { gate: 'p95', verdict: 'Fail' },
        { gate: 'errors', verdict: 'Fail' },
        { gate: 'errors-max', verdict: 'Fail' },
      ],
    );
    const [latency] = truth;
    assert.ok(latency !== undefined && (latency.lower ?? 0) > 0.15 && (latency.upper ?? 0) > (latency.lower ?? 0));
    assert.equal(latency.alpha, 0.05 / 6 + 0.05);
    assert.equal(latency.passAlpha, 0.05);
    assert.equal(latency.requestsStillNeeded, 0);
    assert.equal(latency.evidence.candidatePods, 2);
  });

  it('gives the same verdicts, bounds and forecasts for every order and repetition of reports', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(reports, { minLength: reports.length }),
        fc.array(fc.constantFrom(...reports), { maxLength: 40 }),
        (order, again) => {
          assert.deepEqual(
            judge(plan, { window: windowOf(foldAll([...order, ...again]), base.blocks), loadIsEqual: true }),
            truth,
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  it('gives the same when reports were lost or late, if a later one has their blocks', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: reports.length, maxLength: reports.length }), (lost) => {
        const kept = reports.filter(
          (_, i) => !lost[i] || i % (2 * base.blocks) === 2 * base.blocks - 1 || ((i % (2 * base.blocks)) / 2) % 3 >= 2,
        );
        assert.deepEqual(judge(plan, { window: windowOf(foldAll(kept), base.blocks), loadIsEqual: true }), truth);
      }),
      { numRuns: 30 },
    );
  });

  it('gives the same after the operator restarted between any two reports', () => {
    fc.assert(
      fc.property(fc.nat({ max: reports.length }), (at) => {
        const before = JSON.parse(JSON.stringify(foldAll(reports.slice(0, at)))) as Ledger;
        assert.deepEqual(
          judge(plan, { window: windowOf(reports.slice(at).reduce(fold, before), base.blocks), loadIsEqual: true }),
          truth,
        );
      }),
      { numRuns: 20 },
    );
  });

  it('gives the same verdicts at every call, and when it does not compute their numbers', () => {
    const window = windowOf(foldAll(reports), base.blocks);
    for (let i = 0; i < 3; i++) judge(plan, { window, loadIsEqual: true });
    assert.deepEqual(judge(plan, { window, loadIsEqual: true }), truth);
    const short = verdicts(plan, { window, loadIsEqual: true });
    assert.deepEqual(
      short,
      truth.map(({ verdict, reason, early }) => present({ verdict, reason, early })),
    );
  });

  it('leaves a lost block out for both revisions', () => {
    const gone = new Set([first + 5, first + 6]);
    const unread = reports.filter(
      (report) => report.pod !== 'candidate-0' || !(report.since <= first + 6 && report.until >= first + 5),
    );
    const ledger = foldAll(unread);
    assert.deepEqual(lostBlocks(ledger, ['candidate', 'stable']), [...gone]);
    assert.deepEqual(lostBlocks(ledger, ['stable']), []);
    const window = windowOf(foldAll(reports), base.blocks);
    const without = {
      ...window,
      candidate: window.candidate.filter((cell) => !gone.has(cell.block)),
      stable: window.stable.filter((cell) => !gone.has(cell.block)),
      lostBlocks: [...gone],
    };
    assert.deepEqual(
      judge(plan, { window: windowOf(ledger, base.blocks), loadIsEqual: true }),
      judge(plan, { window: without, loadIsEqual: true }),
    );
  });

  it('counts nothing before the window and nothing after it', () => {
    const shifted = { ...windowOf(foldAll(reports), base.blocks), firstBlock: first + 6, lastBlock: first + 11 };
    const inside = {
      ...shifted,
      candidate: shifted.candidate.filter((cell) => cell.block >= first + 6 && cell.block <= first + 11),
      stable: shifted.stable.filter((cell) => cell.block >= first + 6 && cell.block <= first + 11),
    };
    assert.deepEqual(
      judge(plan, { window: shifted, loadIsEqual: true }),
      judge(plan, { window: inside, loadIsEqual: true }),
    );
  });

  it('mirrors its bounds when the revisions are exchanged, if no noise is doubted', () => {
    // α is 30 %, divided among three gates in two steps: each gate gets 5 % in each step, which is also the α of a
    // Pass.
    const history = () => ({ minutes: 20, weightedVariance: 0.1, doubtedVariance: 0.1 });
    const even = planOf({ latency, errors: { maxIncrease: '0.5%', max: '2%' }, alpha: '0.3' });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0.6, max: 1.6, noNaN: true }), (seed, factor) => {
        const window = windowOf(
          foldAll([
            ...reportsOf('stable', { ...base, blocks: 9, seed }),
            ...reportsOf('candidate', { ...base, blocks: 9, factor, seed: seed + 1 }),
          ]),
          9,
        );
        const [latency = none, errors = none] = judge(even, { window, loadIsEqual: true, history }).map(numbersOf);
        const [swapped = none, swappedErrors = none] = judge(even, {
          window: { ...window, candidate: window.stable, stable: window.candidate },
          loadIsEqual: true,
          history,
        }).map(numbersOf);
        close(1 + latency.estimate, 1 / (1 + swapped.estimate));
        close(1 + latency.lower, 1 / (1 + swapped.upper));
        close(1 + latency.upper, 1 / (1 + swapped.lower));
        close(errors.estimate, -swappedErrors.estimate);
        close(errors.lower, -swappedErrors.upper);
      }),
      // Use a fixed seed. For about one seed in a hundred, for example 877643 with factor 0.6, the bounds differ by up
      // to 0.2 %.
      { numRuns: 15, seed: 1 },
    );
  });

  it('does not compare latencies of pods with unequal load, but judges the other gates', () => {
    const results = judge(plan, { window: windowOf(foldAll(reports), base.blocks), loadIsEqual: false });
    assert.deepEqual(
      results.map(({ verdict, reason }) => reason ?? verdict),
      ['LoadUnequal', 'Fail', 'Fail'],
    );
    assert.equal(results[0]?.requestsStillNeeded, null);
    assert.equal(results[0]?.neededRange, undefined, 'more requests do not help');
  });

  it('gives exactly the same numbers for every order of many classes', () => {
    const classes = Array.from({ length: 12 }, (_, i) => [2 ** i, 7 + 3 * i] as const);
    const of = (revision: string, seed: number) => reportsOf(revision, { ...base, pods: 1, blocks: 6, seed, classes });
    const window = windowOf(foldAll([...of('stable', 1), ...of('candidate', 3)]), 6);
    const said = judge(plan, { window, loadIsEqual: true });
    fc.assert(
      fc.property(fc.shuffledSubarray([...window.candidate], { minLength: window.candidate.length }), (candidate) => {
        assert.deepEqual(judge(plan, { window: { ...window, candidate }, loadIsEqual: true }), said);
      }),
      { seed: 9, numRuns: 10 },
    );
  });

  it('forecasts a range that includes its own forecast, and at least one request', () => {
    const shape = fc.record({
      blocks: fc.integer({ min: 4, max: 30 }),
      perBlock: fc.integer({ min: 1, max: 40 }),
      factor: fc.constantFrom(0.9, 1, 1.15, 1.3),
      failures: fc.constantFrom(0, 0.01, 1),
      seed: fc.integer({ min: 1, max: 1e6 }),
    });
    fc.assert(
      fc.property(shape, ({ blocks, perBlock, factor, failures, seed }) => {
        const reports = [
          ...reportsOf('stable', { ...base, blocks, perBlock, seed: seed + 1 }),
          ...reportsOf('candidate', { ...base, blocks, perBlock, factor, failures, seed }),
        ];
        for (const { gate, verdict, requestsStillNeeded, neededRange } of judge(plan, {
          window: windowOf(foldAll(reports), blocks),
          loadIsEqual: true,
        })) {
          const isOpen = verdict === 'Undecided';
          assert.equal(isOpen ? 0 : requestsStillNeeded, 0, `${gate} is decided`);
          if (neededRange === undefined) continue;
          const [low, own, high] = [neededRange[0], requestsStillNeeded, neededRange[1]].map(
            (count) => count ?? Infinity,
          ) as [number, number, number];
          assert.ok(isOpen && 1 <= low && low <= own && own <= high, `${gate}: ${low} to ${high}, itself ${own}`);
        }
      }),
      { seed: 9, numRuns: 40 },
    );
  });

  it('does not count mistakes of clients as failures of a revision', () => {
    const cells = cellsOf(foldAll(reports), 'candidate');
    const sum = (of: (cell: (typeof cells)[number]) => number): number =>
      cells.reduce((total, cell) => total + of(cell), 0);
    assert.ok(sum((cell) => cell.failures) / sum((cell) => cell.requests) < 0.08);
  });
});

const none = { estimate: NaN, lower: NaN, upper: NaN };
const numbersOf = ({ estimate, lower, upper }: GateResult) => ({
  estimate: estimate ?? NaN,
  lower: lower ?? NaN,
  upper: upper ?? NaN,
});

function close(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6 * Math.max(1, Math.abs(expected)), `${actual}, expected ${expected}`);
}

describe('the judge, where pods carry unequal load', () => {
  const look = (perBlock: number, factor: number) => {
    const reports = [
      ...reportsOf('stable', { ...base, blocks: 60 }),
      ...reportsOf('candidate', { ...base, blocks: 60, perBlock, factor, seed: 4 }),
    ];
    const [p95] = verdicts(plan, { window: windowOf(foldAll(reports), 60), loadIsEqual: false });
    return [p95?.verdict, p95?.reason, p95?.early === 'Blind'];
  };
  // prettier-ignore
  const rows = [
    { name: 'less on the candidate: a slow candidate fails',
      perBlock: 40, factor: 2, says: ['Fail', undefined, false] },
    { name: 'less on the candidate: an equal candidate does not pass', perBlock: 60,
      factor: 0.8, says: ['Undecided', 'LoadUnequal', false] },
    { name: 'more on the candidate: a slow candidate does not fail',
      perBlock: 240, factor: 2, says: ['Undecided', 'LoadUnequal', true] },
    { name: 'more on the candidate: a fast candidate passes',
      perBlock: 240, factor: 0.8, says: ['Pass', undefined, false] },
    { name: 'unknown: a slow candidate is undecided',
      perBlock: 120, factor: 2, says: ['Undecided', 'LoadUnequal', true] },
  ] as const;
  for (const { name, perBlock, factor, says } of rows) it(name, () => assert.deepEqual(look(perBlock, factor), says));
});

describe('the default p99 gate', () => {
  const at = (perBlock: number) => {
    const of = (revision: string, factor: number, seed: number) =>
      reportsOf(revision, { ...base, blocks: 30, perBlock, factor, seed });
    return verdicts(planOf(), {
      window: windowOf(foldAll([...of('stable', 1, 1), ...of('candidate', 2.5, 4)]), 30),
      loadIsEqual: true,
    })[2];
  };
  it('fails a candidate from 2,000 requests on', () => assert.equal(at(80)?.verdict, 'Fail'));
  it('neither fails a candidate with fewer requests nor delays its step', () =>
    assert.deepEqual([at(28)?.verdict, at(28)?.early], ['Undecided', 'Shown']));
});

describe('a first minute', () => {
  const at = (blocks: number) =>
    judge(plan, {
      window: windowOf(
        foldAll([
          ...reportsOf('stable', { ...base, blocks }),
          ...reportsOf('candidate', { ...base, blocks, factor: 3, seed: 4 }),
        ]),
        blocks,
      ),
      loadIsEqual: true,
    })[0]?.verdict;
  it('does not fail a candidate by latency: it may be cold', () =>
    assert.deepEqual([3, 9, 10].map(at), ['Undecided', 'Undecided', 'Fail']));
  const slow = (blocks: number, maxBlocks: number) =>
    verdicts(plan, {
      window: windowOf(
        foldAll([
          ...reportsOf('stable', { ...base, blocks, perBlock: 30 }),
          ...reportsOf('candidate', { ...base, blocks, perBlock: 30, factor: 2, seed: 4 }),
        ]),
        blocks,
      ),
      loadIsEqual: true,
      maxBlocks,
    })[0];
  it('does not end a NoFail step while a slow candidate may still be warming up', () =>
    assert.equal(slow(5, 90)?.early, 'Blind'));
  it('forecasts the Fail that waits for the warm-up: with the next block, or at the latest end of a warm-up', () => {
    const blocks = 8;
    const reports = [
      ...reportsOf('stable', { ...base, blocks, perBlock: 30 }),
      ...reportsOf('candidate', { ...base, blocks, perBlock: 30, factor: 2, seed: 4 }),
    ];
    const [p95] = judge(plan, { window: windowOf(foldAll(reports), blocks), loadIsEqual: true });
    const perBlock = Math.ceil((p95?.candidateRequests ?? NaN) / blocks);
    assert.equal(p95?.requestsStillNeeded, perBlock);
    const [low, high] = p95?.neededRange ?? [];
    assert.ok(
      low === 1 && high !== null && high !== undefined && high > 9 * (perBlock - 1) && high < 14 * perBlock,
      `${low} to ${high}`,
    );
  });
  it('is shorter in a step of at most three minutes', () =>
    assert.deepEqual(
      [90, 9].map((most) => slow(8, most)?.verdict),
      ['Undecided', 'Fail'],
    ));
});

describe('the judge, with requests of several sizes', () => {
  /**
   * The candidate gets three times as many large inputs as stable. Within a size class, its latency is `factor` times
   * stable's.
   */
  function mixed(factor: number): Window {
    const stable = reportsOf('stable', {
      ...base,
      blocks: 45,
      seed: 5,
      classes: [
        [64, 120],
        [256, 40],
      ],
    });
    const candidate = reportsOf('candidate', {
      ...base,
      blocks: 45,
      factor,
      seed: 7,
      classes: [
        [64, 120],
        [256, 120],
      ],
    });
    return windowOf(foldAll([...stable, ...candidate]), 45);
  }

  it('does not take a different mix of sizes for a slower revision', () => {
    const [latency] = judge(plan, { window: mixed(1), loadIsEqual: true });
    assert.ok(latency !== undefined && latency.verdict !== 'Fail');
    assert.ok(Math.abs(latency.estimate ?? 1) < 0.12, `estimate ${latency.estimate}`);
  });

  it('still finds a slower revision', () => {
    const [latency] = judge(plan, { window: mixed(1.6), loadIsEqual: true });
    assert.equal(latency?.verdict, 'Fail');
  });

  it('does not compare revisions without a common size', () => {
    const ledger = foldAll([
      ...reportsOf('stable', { ...base, classes: [[64, 120]] }),
      ...reportsOf('candidate', { ...bad, classes: [[256, 120]] }),
    ]);
    const [latency] = judge(plan, { window: windowOf(ledger, base.blocks), loadIsEqual: true });
    assert.deepEqual(
      { verdict: latency?.verdict, reason: latency?.reason },
      { verdict: 'Undecided', reason: 'TooFewRequests' },
    );
  });
});

describe('the end of a step', () => {
  const window = windowOf(
    foldAll([...reportsOf('stable', base), ...reportsOf('candidate', { ...base, seed: 3 })]),
    base.blocks,
  );
  const rows = [
    { name: 'any Fail fails the step', gates: ['Pass', 'Fail'], require: 'Pass', verdict: 'Fail' },
    { name: 'NoFail waits five minutes', gates: ['Pass', 'Pass'], require: 'NoFail', verdict: 'Done' },
    { name: 'Pass waits for every gate', gates: ['Pass', 'Undecided'], require: 'Pass', verdict: 'Waiting' },
    { name: 'Pass is done when every gate passes', gates: ['Pass', 'Pass'], require: 'Pass', verdict: 'Done' },
  ] as const;
  for (const { name, gates, require, verdict } of rows)
    it(name, () =>
      assert.equal(
        stepVerdict(
          plan,
          { window },
          gates.map((gate) => ({ verdict: gate })),
          require,
        ),
        verdict,
      ),
    );

  const shown = [{ verdict: 'Undecided', early: 'Shown' }, { verdict: 'Pass' }] as const;
  const open = [{ verdict: 'Undecided' }, { verdict: 'Pass' }] as const;
  const until = (blocks: number, perBlock = 120) =>
    windowOf(
      foldAll([
        ...reportsOf('stable', { ...base, blocks, perBlock }),
        ...reportsOf('candidate', { ...base, blocks, perBlock, seed: 3 }),
      ]),
      blocks,
    );
  // prettier-ignore
  const early = [
    { name: 'NoFail is done after five minutes in which every gate has shown its promise',
      blocks: 16, gates: shown, verdict: 'Done' },
    { name: 'NoFail lasts five minutes', blocks: 15, gates: shown, verdict: 'Waiting' },
    { name: 'NoFail waits for its promise', blocks: 45, gates: open, verdict: 'Waiting' },
    { name: 'NoFail waits for its promise for at most fifteen minutes', blocks: 46, gates: open, verdict: 'Done' },
    { name: 'NoFail does not wait for a promise that the traffic cannot show',
      blocks: 16, perBlock: 4, gates: open, verdict: 'Done' },
    { name: 'NoFail does not end while a gate could not fail', blocks: 46,
      gates: [{ verdict: 'Undecided', early: 'Blind' }], verdict: 'Waiting' },
    { name: 'NoFail ends in time in a step of at most five minutes',
      blocks: 13, gates: shown, maxBlocks: 15, verdict: 'Done' },
    { name: 'NoFail does not end without a request', blocks: 46, perBlock: 0, gates: open, verdict: 'Waiting' },
  ] as const;
  for (const { name, blocks, gates, verdict, ...rest } of early) {
    const { perBlock, maxBlocks } = { perBlock: 120, maxBlocks: 90, ...rest };
    it(name, () =>
      assert.equal(stepVerdict(planOf(), { window: until(blocks, perBlock), maxBlocks }, gates, 'NoFail'), verdict),
    );
  }
  it('waits for minRequests of both revisions, if the spec sets them', () =>
    assert.equal(
      stepVerdict({ ...plan, isMinRequestsWritten: true, minRequests: 1e6 }, { window }, shown, 'NoFail'),
      'Waiting',
    ));
  it('passes with few requests in the last stage, if the spec does not set minRequests', () => {
    const gates = [{ verdict: 'Pass' }] as const;
    assert.deepEqual(
      [60, 70].map((blocks) => stepVerdict(planOf(), { window: until(blocks, 0.4) }, gates, 'Pass')),
      ['Waiting', 'Done'],
    );
    assert.equal(stepVerdict(planOf({ minRequests: 200 }), { window: until(70, 0.4) }, gates, 'Pass'), 'Waiting');
  });
  describe('with minRequests of 1000', () => {
    const enough = (perBlock: number, revision: string) => reportsOf(revision, { ...base, pods: 1, perBlock, seed: 4 });
    const inWindow = (stable: number, candidate: number) =>
      windowOf(foldAll([...enough(stable, 'stable'), ...enough(candidate, 'candidate')]), base.blocks);
    // prettier-ignore
    const sides = [
      { name: 'waits for stable when only the candidate has enough',
        stable: 10, candidate: 120, alone: false, verdict: 'Waiting' },
      { name: 'waits for the candidate when only stable has enough',
        stable: 120, candidate: 10, alone: false, verdict: 'Waiting' },
      { name: 'is done when both have enough', stable: 120, candidate: 120, alone: false, verdict: 'Done' },
      { name: 'does not need requests of stable once the candidate has all the traffic',
        stable: 10, candidate: 120, alone: true, verdict: 'Done' },
      { name: 'needs requests of a candidate that has all the traffic',
        stable: 120, candidate: 10, alone: true, verdict: 'Waiting' },
    ] as const;
    for (const { name, stable, candidate, alone, verdict } of sides) {
      it(name, () =>
        assert.equal(
          stepVerdict(
            { ...plan, isMinRequestsWritten: true, minRequests: 1000 },
            { window: inWindow(stable, candidate), alone },
            [],
            'NoFail',
          ),
          verdict,
        ),
      );
    }
  });

  it('waits for three blocks to pass', () => {
    const gates = [{ verdict: 'Pass' }] as const;
    assert.deepEqual(
      [2, 3].map((last) => stepVerdict(plan, { window: { ...window, lastBlock: first + last } }, gates, 'Pass')),
      ['Waiting', 'Done'],
    );
  });
  it('waits for three blocks', () =>
    assert.equal(stepVerdict(plan, { window: { ...window, lastBlock: first + 1 } }, [], 'NoFail'), 'Waiting'));
  it('fails without waiting', () =>
    assert.equal(
      stepVerdict(
        { ...plan, minRequests: 1e6 },
        { window: { ...window, lastBlock: first } },
        [{ verdict: 'Fail' }],
        'NoFail',
      ),
      'Fail',
    ));
});

describe('the ledger', () => {
  it('forgets the blocks before a given one', () => {
    const ledger = forgetBefore(foldAll(reportsOf('stable', base)), first + 10);
    assert.equal(Math.min(...cellsOf(ledger, 'stable').map((cell) => cell.block)), first + 10);
    assert.deepEqual(lostBlocks(ledger, ['stable']), []);
    assert.deepEqual(forgetBefore(ledger, first + 100), {});
  });
});
