/** The sentences about gates in the status. A gate limits one measure of the candidate, the new revision. */
import assert from 'node:assert/strict';
import type { TrafficGate } from '../../../../operator/analysis/gate-kinds/kinds.ts';
import { pairedWords } from '../../../../operator/analysis/paired-words.ts';
import type { GateResult, PairedResult } from '../../../../operator/analysis/verdict.ts';
import { gatesShown, gateStatus } from '../../../../operator/gates/gate-status.ts';
import { failure, openQuestion, progress, written } from '../../../../operator/gates/sentences.ts';

const p95: TrafficGate = { kind: 'latency-increase', name: 'p95', quantile: 0.95, tolerance: 0.15 };
const evidence = { minutes: 3, noise: 0.1, candidatePods: 1, stablePods: 3, windowsRemoved: 0 };
const slow: GateResult = {
  gate: 'p95',
  verdict: 'Fail',
  candidateRequests: 1180,
  stableRequests: 11_020,
  unit: 'ratio',
  estimate: 0.5234,
  lower: 0.211,
  upper: 0.9,
  limit: 0.15,
  requestsStillNeeded: 0,
  alpha: 0.0625,
  passAlpha: 0.05,
  toShow: 0.15,
  evidence,
};
const open: GateResult = {
  ...slow,
  verdict: 'Undecided',
  reason: 'Uncertain',
  estimate: 0.041,
  lower: -0.0604,
  upper: 0.132,
  requestsStillNeeded: 912,
};
const errors: TrafficGate = { kind: 'errors-increase', name: 'errors', increase: 0.005 };
const failing: GateResult = {
  ...slow,
  gate: 'errors',
  unit: 'share',
  estimate: 0.032,
  lower: 0.011,
  upper: 0.08,
  limit: 0.005,
};
const alone = { candidateRequests: 400, unit: 'ms', estimate: 83.4, lower: 71.2, upper: 99, limit: 60 } as const;

const probed: PairedResult = {
  verdict: 'Pass',
  pairs: 310,
  counts: { Probe: 310 },
  estimate: 0.02,
  lower: -0.11,
  upper: 0.19,
};
const slowPairs: PairedResult = {
  ...probed,
  verdict: 'Fail',
  counts: { Probe: 310, Replay: 41 },
  estimate: 0.52,
  lower: 0.211,
  upper: 0.9,
};
const openPairs: PairedResult = {
  ...probed,
  verdict: 'Undecided',
  reason: 'Uncertain',
  pairs: 1,
  counts: { Shadow: 1 },
  upper: null,
};

describe('numbers are formatted', () => {
  const rows: readonly (readonly [string, Parameters<typeof written>[0], number])[] = [
    ['+21%', slow, 0.2149],
    ['+4.1%', slow, 0.0412],
    ['-6%', slow, -0.0604],
    ['0%', slow, 0.0001],
    ['+15%', slow, 0.15],
    ['+0.1%', slow, 0.0012],
    ['48ms', { unit: 'ms' }, 48.2],
    ['3.2ms', { unit: 'ms' }, 3.21],
    ['0ms', { unit: 'ms' }, 0.001],
    ['0.7%', { unit: 'share' }, 0.007],
    ['0.52%', { unit: 'share' }, 0.00523],
    ['+0.52%', failing, 0.00523],
    ['12%', { unit: 'share' }, 0.1234],
  ];
  for (const [text, unit, value] of rows) it(`${value} as ${text}`, () => assert.equal(written(unit, value), text));
});

describe('the sentence of a gate is', () => {
  const far = { gate: p95, result: { ...open, estimate: 14.38, upper: 30 } };
  const quality: TrafficGate = { kind: 'disagreement-limit', name: 'quality', max: 0.02 };
  const { stableRequests: _, ...own } = failing;
  // prettier-ignore
  const rows: readonly (readonly [string, string])[] = [
    [failure(p95, slow),
      'p95 is 52% above stable (at least 21%, allowed 15%) after 1,180 requests of the candidate and 11,020 of stable'],
    [failure({ kind: 'latency-limit', name: 'slo', quantile: 0.99, maxMs: 60 },
      { ...slow, ...alone, gate: 'slo', stableRequests: 1 } as GateResult),
      'slo is 83ms (at least 71ms, allowed 60ms) after 400 requests of the candidate and 1 of stable'],
    [failure(errors, failing),
      'the error rate is 3.2% above stable (at least 1.1%, allowed 0.5%) after 1,180 requests of the candidate ' +
        'and 11,020 of stable'],
    [failure({ kind: 'errors-limit', name: 'errors-max', max: 0.005 }, own),
      'the error rate is 3.2% (at least 1.1%, allowed 0.5%) after 1,180 requests of the candidate'],
    [failure(quality, { ...own, limit: 0.02 }),
      "3.2% of the compared answers disagree with stable's (at least 1.1%, allowed 2%) after 1,180 " +
        "comparisons"],
    [failure(p95, { ...slow, lower: 0.1521 }),
      'p95 is 52% above stable (at least 15.2%, allowed 15%) after 1,180 requests of the candidate and 11,020 of ' +
        'stable'],
    [openQuestion(p95, open), 'p95 undecided: +4.1% (-6% to +13%, allowed 15%), about 910 more requests needed'],
    [openQuestion(p95, { ...open, neededRange: [904, 2431], perMinute: 220 }),
      'p95 undecided: +4.1% (-6% to +13%, allowed 15%), about 900 to 2,400 more requests needed, 5 to 12 min at ' +
        'the present rate'],
    [openQuestion(p95, { ...open, neededRange: [904, null], perMinute: 220 }),
      'p95 undecided: +4.1% (-6% to +13%, allowed 15%), at least 900 more requests needed, 5 min or longer at the ' +
        'present rate'],
    [openQuestion(p95, { ...open, neededRange: [null, null], perMinute: 220 }),
      'p95 undecided: +4.1% (-6% to +13%, allowed 15%), more requests will not decide the gate if the ' +
        'estimate stays the same'],
    [openQuestion(p95, { ...open, neededRange: [30, 51], perMinute: 220, later: { inMinutes: 6.3, toShow: 0.387 } }),
      'p95 undecided: +4.1% (-6% to +13%, allowed 15%), about 30 to 51 more requests needed, 1 min at the present ' +
        'rate; in 6 min an upper bound of +39% is enough for a Pass'],
    [openQuestion(p95, { ...open, estimate: 0.12, evidence: { ...evidence, nodesMayDiffer: 0.281, stablePods: 1 } }),
      'p95 undecided: +12% (-6% to +13%, allowed 15%), about 910 more requests needed; each revision has one ' +
        'pod, and the nodes differ: a difference of up to 28% may come from the nodes'],
    [openQuestion(p95, { ...open, estimate: 0.12, evidence: { ...evidence, nodesMayDiffer: 0.23 } }),
      'p95 undecided: +12% (-6% to +13%, allowed 15%), about 910 more requests needed; the candidate has one ' +
        'pod, and the nodes differ: a difference of up to 23% may come from the nodes'],
    [openQuestion(p95, { ...open, ofClass: { tier: 'interactive', sizeClass: 512 } }),
      'p95 for interactive requests of up to 512 elements undecided: +4.1% (-6% to +13%, allowed 15%), about 910 ' +
        'more requests needed'],
    [failure(p95, { ...slow, ofClass: { tier: 'bulk', sizeClass: 0 } }),
      'p95 for bulk requests without input is 52% above stable (at least 21%, allowed 15%) after 1,180 requests ' +
        'of the candidate and 11,020 of stable'],
    [openQuestion(p95, { ...open, reason: 'LoadUnequal', load: 'Less' }),
      "p95 undecided: +4.1% (-6% to +13%, allowed 15%): the candidate's pods carry less load than stable's at " +
        "this weight, so this gate can fail but not pass; use a step whose weight matches the number of pods"],
    [openQuestion(p95, { ...open, reason: 'LoadUnequal', load: 'More' }),
      "p95 not judged: the candidate's pods carry more load than stable's at this weight, so this gate can " +
        "pass but not fail; add candidate pods (capacity.maxSurge) or change the step's weight"],
    [openQuestion(p95, { ...open, reason: 'OneWindow', requestsStillNeeded: null }),
      'p95 undecided: +4.1% (-6% to +13%, allowed 15%), the verdict depends on a few outlier seconds; check manually'],
    [openQuestion(p95, { ...open, requestsStillNeeded: null }),
      'p95 undecided: +4.1% (-6% to +13%, allowed 15%), more requests will not decide the gate if the ' +
        'estimate stays the same'],
    [openQuestion(p95, { ...open, lower: null, upper: null }),
      'p95 undecided: +4.1% (no bounds yet, allowed 15%), about 910 more requests needed'],
    [openQuestion(p95, { ...open, reason: 'TooFewRequests', candidateRequests: 12, estimate: null }),
      'p95 undecided: 12 requests of the candidate and 11,020 of stable are too few'],
    [openQuestion(p95, { ...open, reason: 'LoadUnequal' }),
      'p95 not judged: pods of the two revisions carry unequal load at this weight'],
    [openQuestion(p95, { ...open, candidateRequests: 1, reason: 'TooFewRequests', estimate: null }),
      'p95 undecided: 1 request of the candidate and 11,020 of stable are too few'],
    [progress({ require: 'NoFail', step: 'Waiting', minRequests: 200,
        requests: { candidate: 117, stable: 2011 }, alone: false, measured: true }),
      'no gate is beyond its limit so far: 117 requests of the candidate and 2,011 of stable, 200 of each are ' +
        'needed, over at least a minute'],
    [progress({ require: 'NoFail', step: 'Waiting', minRequests: 200,
        requests: { candidate: 117, stable: 0 }, alone: true, measured: true }),
      'no gate is beyond its limit so far: 117 requests of the candidate, 200 are needed, over at least a minute'],
    [progress({ require: 'Pass', step: 'Done', minRequests: 50,
        requests: { candidate: 60, stable: 70 }, alone: false, measured: false, ungated: true }),
      'spec.rollout.gates turns every gate off; no verdict after 60 requests of the candidate and 70 of stable'],
    [progress({ require: 'NoFail', step: 'Waiting', minRequests: 50,
        requests: { candidate: 0, stable: 0 }, alone: false, measured: false, ungated: true }),
      'spec.rollout.gates turns every gate off; no verdict: 0 requests of the candidate and 0 of stable, 50 of ' +
        'each are needed, over at least a minute'],
    [progress({ require: 'NoFail', step: 'Waiting', minRequests: 0,
        requests: { candidate: 1, stable: 0 }, alone: false, measured: true }),
      'no gate is beyond its limit so far: 1 request of the candidate and 0 of stable; requests over at least a ' +
        'minute are needed'],
    [progress({ require: 'NoFail', step: 'Waiting', minRequests: 50,
        requests: { candidate: 0, stable: 0 }, alone: false, measured: false }),
      'no gate has an estimate yet: 0 requests of the candidate and 0 of stable, 50 of each are needed, over at ' +
        'least a minute'],
    [progress({ require: 'NoFail', step: 'Waiting', minRequests: 50,
        requests: { candidate: 12, stable: 34 }, alone: false, measured: true, worst: far }),
      'p95 is undecided at +1438% (allowed 15%): 12 requests of the candidate and 34 of stable, ' +
        '50 of each are needed, over at least a minute'],
    [progress({ require: 'NoFail', step: 'Done', minRequests: 50,
        requests: { candidate: 120, stable: 340 }, alone: false, measured: true, worst: far }),
      'no gate fails; p95 is undecided at +1438% (allowed 15%) after 120 requests of the candidate ' +
        'and 340 of stable'],
    [pairedWords('p95', probed), 'p95 passes: increase at most +19%, from 310 paired probes (no live traffic needed)'],
    [failure(p95, { ...slow, paired: slowPairs }),
      'p95 fails: increase at least +21%, from 41 paired replays and 310 paired probes (no live traffic ' +
        'needed), allowed 15%'],
    [openQuestion(p95, { ...open, candidateRequests: 1, reason: 'TooFewRequests', estimate: null, paired: openPairs }),
      'p95 undecided: 1 request of the candidate and 11,020 of stable are too few; p95 undecided from 1 paired ' +
        'shadowed request: +2% (-11% to unknown)'],
    [openQuestion(p95, { ...open, paired: { ...openPairs, estimate: null, lower: null } }),
      'p95 undecided: +4.1% (-6% to +13%, allowed 15%), about 910 more requests needed; 1 paired shadowed ' +
        'request: too few for a verdict'],
    [progress({ require: 'NoFail', step: 'Done', minRequests: 20, requests: { candidate: 33, stable: 2011 },
        alone: false, measured: true, pairs: '310 paired probes' }),
      'no gate fails after 33 requests of the candidate and 2,011 of stable, with 310 paired probes'],
    [progress({ require: 'Pass', step: 'Done', minRequests: 0, requests: { candidate: 0, stable: 200 }, alone: false,
        measured: true, pairs: '310 paired probes', shadow: true }), 'every gate passes after 310 paired probes'],
    [progress({ require: 'NoFail', step: 'Waiting', minRequests: 0, requests: { candidate: 0, stable: 0 }, alone: false,
        measured: false, shadow: true }), 'no gate has an estimate yet: no pairs; more pairs are needed'],
    [progress({ require: 'Pass', step: 'Done', minRequests: 200, requests: { candidate: 3000, stable: 2011 },
        alone: false, measured: true }), 'every gate passes after 3,000 requests of the candidate and 2,011 of stable'],
  ];
  for (const [said, sentence] of rows) it(sentence, () => assert.equal(said, sentence));
});

describe('a promise in the status', () => {
  const course = { stable: 'a', candidate: 'b', attempt: 1, floor: 1, since: 0, step: 1, weight: 5 };
  const analyzing = { phase: 'Analyzing', ...course, window: 1 } as const;
  const shown = { window: 1, atMs: 0, alpha: '0.01', results: [], message: '', promise: 'new' };
  const before = { observedGeneration: 1, rollout: { phase: 'Analyzing', promise: 'old', gates: [] } };

  it('belongs to the current step, and is kept until there is a new one or the step ends', () => {
    assert.equal(gatesShown(analyzing, shown, before).promise, 'new');
    assert.equal(gatesShown(analyzing, undefined, before).promise, 'old');
    for (const next of [
      { phase: 'Shifting', ...course, set: 5 },
      { ...analyzing, phase: 'Paused', why: 'Undecided' },
      { phase: 'Stable', stable: 'b' },
    ] as const)
      assert.equal(gatesShown(next, undefined, before).promise, undefined, next.phase);
  });
});

describe('a gate in the status', () => {
  it('has formatted numbers and omits unknown bounds', () => {
    assert.deepEqual(gateStatus({ ...open, lower: null, own: { candidate: { estimate: 62.3, lower: 58.1 } } }), {
      name: 'p95',
      verdict: 'Undecided',
      reason: 'Uncertain',
      candidateRequests: 1180,
      stableRequests: 11_020,
      estimate: '+4.1%',
      upper: '+13%',
      limit: '+15%',
      requestsStillNeeded: 910,
      stillNeeded: 'about 910 more requests',
      candidateLatency: { estimate: '62ms', lower: '58ms' },
    });
    assert.deepEqual(gateStatus({ ...open, paired: slowPairs, own: {} }).paired, {
      verdict: 'Fail',
      probes: 310,
      replays: 41,
      estimate: '+52%',
      lower: '+21%',
      upper: '+90%',
      message:
        'p95 fails: increase at least +21%, from 41 paired replays and 310 paired probes (no live traffic needed)',
    });
    const { stillNeeded, toShow, ofClass, worstClass } = gateStatus({
      ...open,
      own: {},
      neededRange: [904, 2431],
      perMinute: 220,
      toShow: 0.3873,
      ofClass: { tier: 'bulk', sizeClass: 64 },
      worst: { tier: 'bulk', sizeClass: 64, estimate: 2.1, candidateRequests: 300 },
    });
    assert.deepEqual(
      [stillNeeded, toShow, ofClass, worstClass],
      [
        'about 900 to 2,400 more requests, 5 to 12 min',
        '+39%',
        'bulk requests of up to 64 elements',
        'bulk requests of up to 64 elements: +210%',
      ],
    );
    assert.equal('requestsStillNeeded' in gateStatus({ ...open, requestsStillNeeded: null, own: {} }), false);
  });
});
