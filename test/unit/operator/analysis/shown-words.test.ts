import assert from 'node:assert/strict';
import fc from 'fast-check';
import { planOf } from '../../../../operator/analysis/plan.ts';
import type { GatePromise, StepPromise } from '../../../../operator/analysis/promise.ts';
import type { GateResult } from '../../../../operator/analysis/verdict.ts';
import { increaseWords, promiseWords, roundedUp, shownWords } from '../../../../operator/analysis/shown-words.ts';

const plan = planOf();
const [p95, errors, p99] = plan.gates;
const evidence = { minutes: 9, noise: 0.1, candidatePods: 2, stablePods: 2, windowsRemoved: 0 };
const passed = (gate: string, limit: number, upper: number | null, more: Partial<GateResult> = {}): GateResult => ({
  gate,
  verdict: 'Pass',
  candidateRequests: 900,
  stableRequests: 900,
  unit: gate === 'errors' ? 'share' : 'ratio',
  estimate: 0,
  lower: -0.1,
  upper,
  limit,
  toShow: 1,
  requestsStillNeeded: 0,
  alpha: 0.07,
  passAlpha: 0.05,
  evidence,
  ...more,
});

describe('what a rollout has shown', () => {
  const pairs = {
    verdict: 'Pass',
    pairs: 300,
    counts: { Probe: 300 },
    estimate: 0,
    lower: -0.1,
    upper: 0.212,
  } as const;
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly results: readonly GateResult[];
    readonly says: string | undefined }[] = [
    { name: 'the bounds, rounded up, when traffic was too low for the limits',
      results: [passed('p95', 0.15, 0.3721), passed('errors', 0.01, 0.02012), passed('p99', 1, 2.4)],
      says: 'nothing worse than +38 % p95, +2.1 points errors shown; no bound for p99' },
    { name: 'the limits, when the bounds are below them',
      results: [passed('p95', 0.15, 0.0931), passed('errors', 0.01, 0.004), passed('p99', 1, 0.7)],
      says: 'nothing worse than +15 % p95, +1 point errors, +100 % p99 shown' },
    { name: 'without a gate whose bound is unknown',
      results: [passed('p95', 0.15, 0.15), passed('errors', 0.01, 0.01), passed('p99', 1, null)],
      says: 'nothing worse than +15 % p95, +1 point errors shown; no bound for p99' },
    { name: 'only the gates that passed, and then those that have shown nothing',
      results: [passed('p95', 0.15, 0.3, { verdict: 'Undecided' }),
        passed('errors', 0.01, 0.01), passed('p99', 1, 0.7, { verdict: 'Undecided' })],
      says: 'nothing worse than +1 point errors shown; no bound for p95 and p99' },
    { name: 'what pairs have shown, marked as such',
      results: [passed('p95', 0.15, 0.9, { paired: pairs }), passed('errors', 0.01, 0.01), passed('p99', 1, 0.7)],
      says: 'nothing worse than +22 % p95 from pairs, +1 point errors, +100 % p99 shown' },
    { name: 'without a tail by pairs when a Pass claims nothing',
      results: [passed('p95', 0.15, 0.1), passed('errors', 0.01, 0.01), passed('p99', 0.3, 2.4, { paired: pairs })],
      says: 'nothing worse than +15 % p95, +1 point errors shown; no bound for p99' },
    { name: 'without a rate whose bound is 1', results: [passed('p95', 0.15, 0.1), passed('errors', 0.01, 1)],
      says: 'nothing worse than +15 % p95 shown; no bound for errors' },
    { name: 'undefined when no gate passed', results: [
        passed('p95', 0.15, 0.3, { verdict: 'Undecided' })], says: undefined },
  ];
  for (const { name, results, says } of rows) it(`is ${name}`, () => assert.equal(shownWords(plan, results), says));

  it('does not include limits in milliseconds: those are kept, not shown', () => {
    const limits = planOf({ latency: [{ name: 'slo', quantile: '0.95', max: '60ms' }], errors: {} });
    assert.equal(shownWords(limits, [passed('slo', 60, 48, { unit: 'ms' })]), undefined);
  });

  it('is rounded up to two digits, and never down', () => {
    for (const [value, is] of [
      [15, 15],
      [37.01, 38],
      [2.01, 2.1],
      [0.4012, 0.41],
      [162, 170],
      [100, 100],
      [9.99, 10],
      [0, 0],
      [-3, 0],
    ] as const)
      assert.equal(roundedUp(value), is);
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 1e4, noNaN: true }), (value) => {
        assert.ok(roundedUp(value) >= value * (1 - 1e-6) && roundedUp(value) <= value * 1.11);
      }),
      { seed: 9 },
    );
  });

  it('has points for a rate, and percent for a latency', () => {
    assert.deepEqual(
      [
        increaseWords({ kind: 'errors-increase' }, 0.01),
        increaseWords({ kind: 'errors-increase' }, 0.0209),
        increaseWords({ kind: 'latency-increase' }, 0.01),
      ],
      ['+1 point', '+2.1 points', '+1 %'],
    );
  });
});

describe('the message of a promise', () => {
  assert.ok(p95 !== undefined && errors !== undefined && p99 !== undefined);
  const gates: readonly GatePromise[] = [
    { gate: p95, shows: 0.15, finds: 0.31 },
    { gate: errors, shows: 0.01, finds: 0.0232 },
    { gate: p99, shows: null, finds: null },
  ];
  const busy: StepPromise = { requestsPerMinute: 1020.4, minutes: [5, 9], findsWithin: 30, gates };
  const slow = {
    gate: { kind: 'latency-limit', name: 'slo', quantile: 0.95, maxMs: 60 },
    shows: null,
    finds: null,
  } as const;
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly promise: StepPromise; readonly says: string }[] = [
    { name: 'has the rate, the time, what is shown and what is found', promise: busy,
      says:
        'at 1020 requests a minute this step takes about 5 to 9 min; it can show that the increase is ' +
          'at most p95 +15 % and errors +1 point; an increase of p95 +31 % and errors +2.4 points or more would be ' +
          'found in 30 min' },
    { name: 'has one time if chance makes no difference', promise: { ...busy, requestsPerMinute: 1, minutes: [11, 11] },
      says:
        'at 1 request a minute this step takes about 11 min; it can show that the increase is at most ' +
          'p95 +15 % and errors +1 point; an increase of p95 +31 % and errors +2.4 points or more would be found ' +
          'in 30 min' },
    { name: 'has an open end', promise: { ...busy, minutes: [26, null] },
      says:
        'at 1020 requests a minute this step takes about 26 min or longer; it can show that the increase is ' +
          'at most p95 +15 % and errors +1 point; an increase of p95 +31 % and errors +2.4 points or more would be ' +
          'found in 30 min' },
    { name: 'says that the time is not enough',
      promise: { ...busy, requestsPerMinute: 4.32, minutes: [null, null],
        gates: [{ gate: p95, shows: 1.61, finds: null }] },
      says:
        'at 4.3 requests a minute this step will not be decided in 30 min; it can show that the increase is at most ' +
          'p95 +170 % by then' },
    { name: 'says that nothing can be shown', promise: { ...busy, minutes: [5, 5],
        gates: [{ gate: p95, shows: null, finds: null }] },
      says: 'at 1020 requests a minute this step takes about 5 min; it cannot show how the revisions compare' },
    { name: 'has only the time if no gate compares', promise: { ...busy, minutes: [5, 5],
        gates: [slow] }, says: 'at 1020 requests a minute this step takes about 5 min' },
  ];
  for (const { name, promise, says } of rows)
    it(name, () => assert.equal(promiseWords(promise), says.replace('1020', '1,020')));
});
