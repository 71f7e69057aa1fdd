import assert from 'node:assert/strict';
import { alphaWords, planOf, toShow, type Confidence } from '../../../../operator/analysis/plan.ts';

describe('what a Pass must show', () => {
  const rows = [
    { name: 'is the limit at first', limit: 0.15, atMost: 1, known: 32, shows: 0.15 },
    { name: 'is the geometric mean from eleven minutes on', limit: 0.15, atMost: 1, known: 33, shows: Math.sqrt(0.15) },
    {
      name: 'is the geometric mean until twenty-two minutes',
      limit: 0.15,
      atMost: 1,
      known: 65,
      shows: Math.sqrt(0.15),
    },
    { name: 'is atMost from then on', limit: 0.15, atMost: 1, known: 66, shows: 1 },
    { name: 'is the limit to the end without atMost', limit: 0.15, known: 89, shows: 0.15 },
    { name: 'is unlimited when atMost is Infinity', limit: 0.3, atMost: Infinity, known: 1, shows: Infinity },
    {
      name: 'changes sooner in a shorter step',
      limit: 0.15,
      atMost: 1,
      known: 6,
      maxBlocks: 15,
      shows: Math.sqrt(0.15),
    },
    {
      name: 'changes sooner with Quick',
      confidence: 'Quick',
      limit: 0.15,
      atMost: 1,
      known: 15,
      shows: Math.sqrt(0.15),
    },
    {
      name: 'is the limit to the end with Strict',
      confidence: 'Strict',
      limit: 0.15,
      atMost: 1,
      known: 89,
      shows: 0.15,
    },
  ] as const;
  for (const { name, limit, known, shows, ...rest } of rows) {
    const {
      atMost,
      maxBlocks = 90,
      confidence,
    }: { atMost?: number; maxBlocks?: number; confidence?: Confidence } = rest;
    it(name, () =>
      assert.equal(
        toShow(limit, atMost, planOf(confidence === undefined ? {} : { confidence }), { known, maxBlocks }),
        shows,
      ),
    );
  }
});

describe('the default p99 gate', () => {
  it('does not fail a candidate before its 2,000th request', () =>
    assert.deepEqual(
      planOf().gates.map((gate) => ('failsFrom' in gate ? gate.failsFrom : undefined)),
      [undefined, undefined, 2000],
    ));
});

describe('the confidence of a plan', () => {
  it('is Standard by default, with five percent for a wrong Fail', () =>
    assert.deepEqual(
      [planOf().confidence, planOf({ latency: [], errors: { max: '1%' } }).alphaPerGate],
      ['Standard', 0.025],
    ));
  it('trades wrong verdicts for time', () => {
    const alphas = (['Strict', 'Standard', 'Quick'] as const).map(
      (confidence) => planOf({ confidence, latency: [], errors: { max: '1%' } }, []).alphaPerGate,
    );
    assert.deepEqual(alphas, [0.01, 0.05, 0.2]);
  });
  it('returns the α of the gates, from the least to the most', () => {
    assert.deepEqual(
      [alphaWords(planOf()), alphaWords(planOf({ latency: [], errors: { max: '1%' } }))],
      ['0.0025 to 0.015', '0.025'],
    );
  });
  it('does not override an alpha of the spec', () =>
    assert.equal(
      planOf({ confidence: 'Quick', alpha: '0.02', latency: [], errors: { max: '1%' } }, []).alphaPerGate,
      0.02,
    ));
});

describe('the minDetectable of a gate', () => {
  const latency = (more: object) => [{ name: 'p95', quantile: '0.95', maxIncrease: '15%', ...more }];
  it('is absent if the spec sets a gate without it', () =>
    assert.deepEqual(
      planOf({ latency: latency({}), errors: { maxIncrease: '1%' } }).gates.map((gate) => 'atMost' in gate),
      [false, false],
    ));
  it('is the value of the spec', () => {
    const { gates } = planOf({
      latency: latency({ minDetectable: '40%' }),
      errors: { maxIncrease: '1%', minDetectable: '3%' },
    });
    assert.deepEqual(
      gates.map((gate) => 'atMost' in gate && gate.atMost),
      [0.4, 0.03],
    );
  });
  // prettier-ignore
  const bad: readonly (readonly [string, Parameters<typeof planOf>[0], RegExp])[] = [
    ['when it is less than the limit', { latency: latency({ minDetectable: '10%' }) },
      /latency\[0\]\.minDetectable: '10%' must be at least maxIncrease/],
    ['beside a limit in milliseconds', { latency: [
        { name: 'a', quantile: '0.5', max: '1s', minDetectable: '10%' }] }, /minDetectable: requires maxIncrease/],
    ['for errors without maxIncrease', { errors: { max: '1%',
        minDetectable: '10%' } }, /errors\.minDetectable: requires maxIncrease/],
    ['with an unknown confidence', { confidence: 'strict' as Confidence },
      /gates\.confidence: 'strict' is not one of Strict, Standard, Quick/],
    ['with the name of another gate', { latency: [{ name: 'errors', quantile: '0.5', max: '1s' }] },
      /latency\[0\]\.name: 'errors' is the name of another gate/],
    ['that is not a percentage', { errors: { maxIncrease: '1%', minDetectable: '2' } }, /'2' is not a percentage/],
  ];
  for (const [name, gates, says] of bad) it(`is rejected ${name}`, () => assert.throws(() => planOf(gates), says));
});
