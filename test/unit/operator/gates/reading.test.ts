/**
 * The reading: what the judge's verdicts mean for the rollout (whether the step may end, what failed, one sentence).
 *
 * Terms: a pair is the service times of both revisions for the same request. Stable serves; the candidate may replace
 * it. A block is 20 s of time.
 */
import assert from 'node:assert/strict';
import { emptyLedger, fold, type Ledger } from '../../../../operator/analysis/ledger.ts';
import { planOf, type GatesSpec } from '../../../../operator/analysis/plan.ts';
import { isLoadEqual, knownOf, type Scene } from '../../../../operator/gates/evidence.ts';
import { find, shownResultsOf, readingFrom, sentenceOf } from '../../../../operator/gates/reading.ts';
import type { GateReading } from '../../../../operator/rollout/state.ts';
import { Random } from '../../../../bench/canary/random.ts';
import { ratioBucketOf, ratioBuckets } from '../../../../api/report.ts';
import { reportsOfPods, type Shape } from '../../../support/block-reports.ts';

const window = 700;
const even: Omit<Shape, 'seed'> = { first: window, blocks: 18, pods: 2, perBlock: 120, factor: 1, failures: 0 };

function ledgerOf(candidate: Partial<Shape>, stable: Partial<Shape> = {}): Ledger {
  return [
    ...reportsOfPods('candidate', { ...even, seed: 1, ...candidate }),
    ...reportsOfPods('stable', { ...even, seed: 2, ...stable }),
  ].reduce(fold, emptyLedger);
}

/**
 * Pairs that the candidate's sidecar reports. `perBlock`: pairs in a block; `factor`: the candidate's service time
 * divided by stable's.
 */
type Pairs = { readonly perBlock: number; readonly factor: number; readonly blocks?: number };

function withPairs(ledger: Ledger, { perBlock, factor, blocks = 60 }: Pairs): Ledger {
  const random = new Random(5, perBlock);
  const made = Array.from({ length: blocks }, (_, i) => {
    const counts: Record<string, number> = {};
    for (let n = 0; n < perBlock; n += 1) {
      const bucket = ratioBucketOf(factor * Math.exp(0.5 * (random.normal() - random.normal())));
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    const probe = { base: ratioBuckets.base, growth: ratioBuckets.growth, counts };
    return {
      index: window + i,
      seq: 1,
      traffic: [
        {
          tier: 'default',
          sizeClass: 0,
          latency: { base: 1e-4, growth: 1.02, counts: {} },
          ok: 0,
          errors: {},
          paired: { Probe: probe },
        },
      ],
    };
  });
  const until = window + blocks - 1;
  const heard = fold(ledger, {
    pod: 'candidate-9',
    bootId: 'pairs',
    revision: 'candidate',
    since: window,
    until,
    blocks: made,
  });
  return fold(heard, { pod: 'stable-9', bootId: 'quiet', revision: 'stable', since: window, until, blocks: [] });
}

type Given = {
  readonly pairs?: Pairs;
  readonly shadow?: true;
  readonly gates?: GatesSpec;
  readonly require?: 'NoFail' | 'Pass';
  readonly scene?: Partial<Scene>;
  readonly candidate?: Partial<Shape>;
  readonly stable?: Partial<Shape>;
};

function read({
  gates = {},
  require = 'Pass',
  scene = {},
  candidate = {},
  stable = {},
  pairs,
  shadow,
}: Given): GateReading {
  const asked = {
    window,
    plan: planOf(gates, [{ analyze: { require } }]),
    require,
    ...(shadow === undefined ? {} : { shadow }),
  };
  const told = ledgerOf(candidate, stable);
  const ledger = pairs === undefined ? told : withPairs(told, pairs);
  const known = knownOf({
    stable: 'stable',
    candidate: 'candidate',
    window,
    weight: 50,
    router: 'Service',
    ready: { candidate: 2, stable: 2 },
    ledger,
    from: 0,
    ...scene,
  });
  const finding = find(asked, known);
  return readingFrom(asked, finding, { message: sentenceOf(asked, finding, shownResultsOf(finding)), silent: [] });
}

const quiet: Partial<Shape> = { perBlock: 0 };
const inShadow = { shadow: true, scene: { weight: 0 }, candidate: quiet, stable: { perBlock: 3 } } as const;
const wide: GatesSpec = { latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '30%' }] };
const limits: GatesSpec = { latency: [{ name: 'slo', quantile: '0.95', max: '70ms' }], errors: { max: '2%' } };
const agreement: GatesSpec = { latency: [], errors: {}, quality: { min: '0.95' } };

type Row = {
  readonly name: string;
  readonly given: Given;
  readonly reads: Partial<GateReading>;
  readonly says: RegExp;
};
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'a slow candidate fails by latency', given: { candidate: { factor: 1.6 } },
    reads: { step: 'Fail', failed: 'LatencyGateFailed', absolute: 'None' },
    says:
      new RegExp(String.raw`^p95 is [0-9]+% above stable \(at least [0-9]+%, allowed 15%\) after [0-9],[0-9]{3} ` +
        'requests of the candidate and') },
  { name: 'a candidate over an absolute limit fails by latency', given: { gates: limits, candidate: { factor: 2.5 } },
    reads: { step: 'Fail', failed: 'LatencyGateFailed', absolute: 'Fail' },
    says: /^slo is [0-9]+ms \(at least [0-9]+ms, allowed 70ms\)/ },
  { name: 'a candidate that fails requests fails by errors', given: { candidate: { failures: 0.08 } },
    reads: { step: 'Fail', failed: 'ErrorsGateFailed', absolute: 'None' },
    says: /^the error rate is [0-9.]+% above stable/ },
  { name: 'a candidate with other answers fails by quality', given: { gates: agreement, candidate: { disagree: 0.2 } },
    reads: { step: 'Fail', failed: 'QualityGateFailed', absolute: 'None' },
    says: /of the compared answers disagree with stable's/ },
  { name: 'a good candidate finishes a step that requires NoFail', given: { require: 'NoFail' },
    reads: { step: 'Done', absolute: 'None' },
    says: /^no gate fails after 4,[0-9]{3} requests of the candidate and 4,[0-9]{3} of stable$/ },
  { name: 'an undecided gate delays a step that requires Pass',
    given: { candidate: { blocks: 6 } }, reads: { step: 'Waiting', absolute: 'None' },
    says:
      new RegExp('^p95 undecided: .*, about [0-9,]+ to [0-9,]+ more requests needed, [0-9]+ to [0-9]+ ' +
        String.raw`min at the present rate; in 9 min an upper bound of \+39% is enough for a Pass$`) },
  { name: 'too few requests delay every step',
    given: { gates: { minRequests: 200 }, require: 'NoFail', candidate: { perBlock: 1 } }, reads: { step: 'Waiting' },
    says: /^no gate is beyond its limit so far: .*, 200 of each are needed, over at least a minute$/ },
  { name: 'a candidate without requests is idle', given: { require: 'NoFail', candidate: { perBlock: 0 } },
    reads: { step: 'Waiting', idle: true }, says: /0 requests of the candidate/ },
  { name: 'fourteen whole blocks and an unfinished one are less than five minutes',
    given: { require: 'NoFail', candidate: { blocks: 15 } }, reads: { step: 'Waiting' },
    says:
      new RegExp('^no gate is beyond its limit so far: [0-9,]+ requests of the candidate and [0-9,]+ ' +
        'of stable; this step lasts at least 5 min$') },
  { name: 'a NoFail step waits for evidence that the traffic can provide',
    given: { require: 'NoFail', candidate: { blocks: 20, perBlock: 7 },
      stable: { blocks: 20, perBlock: 7 } }, reads: { step: 'Waiting' },
    says:
      new RegExp('^no gate is beyond its limit so far: [0-9,]+ requests of the candidate and [0-9,]+ ' +
        'of stable; waits up to 15 min for evidence that latency is at most 50% and errors ' +
        'are at most 5 percentage points above stable$') },
  { name: 'fifteen whole blocks are five minutes', given: { require: 'NoFail',
      candidate: { blocks: 16 } }, reads: { step: 'Done' }, says: /^no gate fails after/ },
  { name: 'a candidate within its absolute limits passes', given: { gates: limits },
    reads: { step: 'Done', absolute: 'Pass' }, says: /^every gate passes after/ },
  {
    name: 'a stable revision over a limit is sick, and the candidate within it passes',
      given: { gates: { ...limits, latency: [...(limits.latency ?? []),
        { name: 'p50', quantile: '0.5', maxIncrease: '5%' }] }, stable: { failures: 0.1 } },
    reads: { step: 'Waiting', absolute: 'Pass', stableSick: 'x' }, says: /^p50 undecided/,
  },
  {
    name: 'when stable is sick too, the message names the limit that the candidate exceeds',
      given: { gates: { latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '5%' }],
        errors: { max: '2%' } }, candidate: { factor: 2, failures: 0.1 }, stable: { failures: 0.1 } },
    reads: { step: 'Fail', failed: 'ErrorsGateFailed', absolute: 'Fail', stableSick: 'x' }, says: /^the error rate is/,
  },
  { name: 'a candidate with all the traffic is judged by its absolute limits',
    given: { gates: { ...limits, latency: [...(limits.latency ?? []),
      { name: 'p95', quantile: '0.95', maxIncrease: '5%' }] }, require: 'NoFail',
      scene: { weight: 100 }, stable: { perBlock: 0 } }, reads: { step: 'Done', absolute: 'Pass' },
    says: /^no gate fails after 4,[0-9]{3} requests of the candidate$/ },
  { name: 'a candidate with all the traffic is not compared with stable',
    given: { gates: { latency: [{ name: 'slo', quantile: '0.95', max: '500ms' },
      { name: 'p95', quantile: '0.95', maxIncrease: '5%' }], errors: { max: '2%' } },
      require: 'NoFail', scene: { weight: 100 }, candidate: { factor: 1.6 } },
    reads: { step: 'Done', absolute: 'Pass' }, says: /^no gate fails after/ },
  { name: 'a candidate with all the traffic fails by its absolute limits',
    given: { gates: limits, require: 'NoFail', scene: { weight: 100 }, candidate: { failures: 0.1 },
      stable: { perBlock: 0 } }, reads: { step: 'Fail', failed: 'ErrorsGateFailed',
      absolute: 'Fail' }, says: /^the error rate is/ },
  { name: 'latencies under unequal load are not compared',
    given: { scene: { router: 'HTTPRoute', weight: 5, ready: { candidate: 1, stable: 3 } },
      candidate: { factor: 1.6 } }, reads: { step: 'Waiting' }, says: /^p95 not judged: .* unequal load/ },
  { name: 'a candidate with less load can fail, not pass',
    given: { scene: { router: 'HTTPRoute', weight: 5, ready: { candidate: 1, stable: 2 } },
      candidate: { pods: 1, perBlock: 60 } }, reads: { step: 'Waiting' },
    says:
      new RegExp("^p95 undecided: .*: the candidate's pods carry less load than stable's at this " +
        'weight, so this gate can fail but not pass; use a step whose weight matches the number ' +
        'of pods$') },
  { name: 'a candidate with more load can pass, not fail, and delays a step that requires NoFail',
    given: { require: 'NoFail', scene: { router: 'HTTPRoute', weight: 60, ready: { candidate: 1, stable: 2 } },
      candidate: { pods: 1, perBlock: 360, factor: 1.6 } }, reads: { step: 'Waiting' },
    says:
      new RegExp("^p95 not judged: the candidate's pods carry more load than stable's at this weight, " +
        String.raw`so this gate can pass but not fail; add candidate pods \(capacity\.maxSurge\) ` +
        "or change the step's weight$") },
  { name: 'with one pod per revision the nodes may cause the difference',
    given: { candidate: { pods: 1, perBlock: 240, factor: 1.25 }, stable: { pods: 1, perBlock: 240 },
      scene: { nodes: 'Unlike', ready: { candidate: 1, stable: 1 } } }, reads: { step: 'Waiting' },
    says: /each revision has one pod, and the nodes differ: a difference of up to 2[0-9]% may come from the nodes/ },
  { name: 'on the same nodes the nodes cannot cause the difference',
    given: { candidate: { pods: 1, perBlock: 240, factor: 1.25 }, stable: { pods: 1, perBlock: 240 },
      scene: { nodes: 'Shared', ready: { candidate: 1, stable: 1 } } }, reads: { step: 'Waiting' },
    says: /^(?!.*may come from the nodes)/ },
  { name: 'a slow candidate fails by pairs when there is almost no traffic',
    given: { candidate: quiet, stable: { perBlock: 2 }, pairs: { perBlock: 18, factor: 1.8 } },
    reads: { step: 'Fail', failed: 'LatencyGateFailed' },
    says: /^p95 fails: increase at least \+[0-9]+%, from 1,080 paired probes \(no live .* needed\), allowed 15%$/ },
  { name: 'pairs do not count as requests: a candidate without requests is idle',
    given: { require: 'NoFail', candidate: quiet, pairs: { perBlock: 18, factor: 1 } },
    reads: { step: 'Waiting', idle: true }, says:
      new RegExp('^no gate is beyond its limit so far: 0 requests of the candidate and [0-9,]+ of ' +
        'stable, with 1,080 paired probes, 200 of each are needed') },
  { name: 'in the shadow a Pass needs pairs only',
    given: { ...inShadow, gates: wide, pairs: { perBlock: 18, factor: 1 } },
    reads: { step: 'Done' }, says: /^every gate passes after 1,080 paired probes$/ },
  { name: 'in the shadow twenty pairs and five minutes suffice for NoFail',
    given: { ...inShadow, require: 'NoFail', pairs: { perBlock: 3, factor: 1 } },
    reads: { step: 'Done' }, says: /^no gate fails.* after 180 paired probes$/ },
  { name: 'in the shadow fewer than twenty pairs do not suffice for NoFail',
    given: { ...inShadow, require: 'NoFail', pairs: { perBlock: 3, factor: 1, blocks: 5 } },
    reads: { step: 'Waiting' }, says: /15 paired probes; more pairs are needed$/ },
  { name: 'in the shadow a slow candidate fails', given: { ...inShadow, pairs: { perBlock: 18, factor: 1.8 } },
    reads: { step: 'Fail', failed: 'LatencyGateFailed' }, says: /^p95 fails: increase at least/ },
  { name: 'in the shadow a gate is undecided without pairs', given: { ...inShadow, gates: wide },
    reads: { step: 'Waiting' }, says: /^p95 undecided: 0 requests of the candidate/ },
];

describe('a reading of the gates', () => {
  for (const { name, given, reads, says } of rows) {
    it(name, () => {
      const { message, stableSick, ...reading } = read(given);
      const { stableSick: isSick, ...rest } = reads;
      assert.deepEqual({ ...reading, ...rest }, reading, message);
      assert.equal('failed' in reading, 'failed' in reads);
      assert.equal(stableSick !== undefined, isSick !== undefined);
      assert.match(message, says);
    });
  }

  it('names the limit that stable exceeds', () => {
    assert.match(
      read({ gates: limits, stable: { failures: 0.1 } }).stableSick ?? '',
      /^the error rate is [0-9.]+% \(at least [0-9.]+%, allowed 2%\) after [0-9,]+ requests of stable$/,
    );
    assert.match(
      read({ gates: limits, stable: { factor: 3 } }).stableSick ?? '',
      /^slo is [0-9]+ms \(at least [0-9]+ms, allowed 70ms\) after [0-9,]+ requests of stable$/,
    );
  });

  it('ignores blocks before the window and blocks that only one revision reported', () => {
    const cold = ledgerOf({ first: window - 30, blocks: 30, factor: 3 }, { first: window - 30, blocks: 30 });
    const known = knownOf({
      stable: 'stable',
      candidate: 'candidate',
      window,
      weight: 50,
      router: 'Service',
      ready: { candidate: 2, stable: 2 },
      ledger: cold,
      from: 0,
    });
    assert.deepEqual(
      [known.cells.candidate.length, known.heardUntil],
      [0, { candidate: window - 1, stable: window - 1 }],
    );
    const ahead = ledgerOf({ blocks: 18 }, { blocks: 6 });
    const seen = knownOf({
      stable: 'stable',
      candidate: 'candidate',
      window,
      weight: 50,
      router: 'Service',
      ready: { candidate: 2, stable: 2 },
      ledger: ahead,
      from: 0,
    });
    assert.equal(Math.max(...seen.cells.candidate.map((cell) => cell.block)), window + 5);
  });
});

describe('loads are equal', () => {
  const loads: readonly (readonly [boolean, Parameters<typeof isLoadEqual>[0]])[] = [
    [true, { router: 'Service', weight: 5, ready: { candidate: 1, stable: 3 } }],
    [true, { router: 'HTTPRoute', weight: 25, ready: { candidate: 1, stable: 3 } }],
    [true, { router: 'HTTPRoute', weight: 30, ready: { candidate: 1, stable: 3 } }],
    [false, { router: 'HTTPRoute', weight: 33, ready: { candidate: 1, stable: 3 } }],
    [false, { router: 'HTTPRoute', weight: 5, ready: { candidate: 1, stable: 3 } }],
    [false, { router: 'HTTPRoute', weight: 50, ready: { candidate: 0, stable: 3 } }],
    [false, { router: 'HTTPRoute', weight: 100, ready: { candidate: 3, stable: 3 } }],
  ];
  for (const [equal, given] of loads) {
    const { router, weight, ready } = given;
    it(`${equal ? '' : 'not '}with ${router}, ${weight}% on ${ready.candidate} pods, the rest on ${ready.stable}`, () =>
      assert.equal(isLoadEqual(given), equal));
  }
});
