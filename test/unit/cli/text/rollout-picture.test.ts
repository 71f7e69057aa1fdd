import assert from 'node:assert/strict';
import { claimConditions } from '../../../../api/conditions.ts';
import type { OnnxModel, OnnxModelStatus } from '../../../../api/onnxmodel.ts';
import { LiveFrame } from '../../../../cli/text/live-frame.ts';
import { pictureText } from '../../../../cli/text/picture-text.ts';
import { pictureOf } from '../../../../cli/text/picture.ts';
import { domainOf, drawBar, drawScale, numberIn } from '../../../../cli/text/scale.ts';
import { coloured, unpainted, type Terminal } from '../../../../cli/text/terminal.ts';
import { cutTo, wrapped } from '../../../../cli/text/text-table.ts';
import { lineOf } from '../../../../cli/text/watch-views.ts';
import { given } from '../../../support/given.ts';
import { assertGolden } from '../../../support/golden.ts';

const now = Date.parse('2026-01-02T03:04:05Z');
const agoMs = (ms: number): string => new Date(now - ms).toISOString();

type Rollout = NonNullable<OnnxModelStatus['rollout']>;
const spec: Partial<OnnxModel['spec']> = {
  rollout: {
    strategy: 'Canary',
    steps: [
      { weight: 5 },
      { analyze: { require: 'NoFail' } },
      { weight: 50 },
      { analyze: { require: 'Pass', maxDuration: '30m' } },
      { pause: { duration: '10m' } },
      { weight: 100 },
    ],
  },
};
// prettier-ignore
const gates: NonNullable<Rollout['gates']> = [
  {
    name: 'p95', verdict: 'Undecided', reason: 'Uncertain', candidateRequests: 1180, stableRequests: 11_020,
      estimate: '+4.1%', lower: '-6%', upper: '+13%', limit: '+15%', requestsStillNeeded: 900,
    stableLatency: { estimate: '46ms', lower: '45ms', upper: '47ms' },
      candidateLatency: { estimate: '48ms', lower: '43ms', upper: '53ms' },
  },
  { name: 'slo', verdict: 'Pass', candidateRequests: 1180, estimate: '51ms', lower: '47ms', upper: '56ms',
    limit: '60ms', candidateLatency: { estimate: '51ms', lower: '47ms', upper: '56ms' } },
  { name: 'errors', verdict: 'Undecided', reason: 'TooFewRequests',
    candidateRequests: 12, stableRequests: 11_020, limit: '+0.5%' },
  { name: 'quality', verdict: 'Undecided', reason: 'OneWindow',
    candidateRequests: 59, estimate: '1.7%', lower: '0.1%', limit: '2%' },
];
const failedGate = {
  name: 'p95',
  verdict: 'Fail',
  candidateRequests: 1180,
  stableRequests: 11_020,
  estimate: '+52%',
  lower: '+21%',
  upper: '+90%',
  limit: '+15%',
} as const;

function model(rollout: Rollout, more: Partial<OnnxModelStatus> & { readonly stalled?: boolean } = {}): OnnxModel {
  const { stalled = false, ...rest } = more;
  const message = rollout.message ?? `${rollout.phase} it is`;
  const reason = rollout.reason ?? rollout.phase;
  const conditions = claimConditions(
    [],
    [
      { type: 'Ready', status: 'False', reason, message },
      { type: stalled ? 'Stalled' : 'Reconciling', status: 'True', reason, message },
    ],
    { now: now - 250_000, generation: 3 },
  );
  return given.model(spec, {
    status: {
      observedGeneration: 3,
      phase: rollout.phase,
      message,
      address: { url: 'http://ranker.ml.svc:8080' },
      replicas: 5,
      readyReplicas: 5,
      stable: {
        revision: 'aaaaaaaaaa',
        generation: 2,
        provider: 'CPU',
        precision: 'INT8',
        replicas: 4,
        ready: 4,
        memory: { limit: '512Mi', peak: '96Mi' },
      },
      candidate: {
        revision: 'bbbbbbbbbb',
        generation: 3,
        provider: 'CPU',
        precision: 'FP32',
        replicas: 1,
        ready: 1,
        memory: { limit: '512Mi', estimate: '210Mi' },
      },
      rollout,
      conditions,
      ...rest,
    },
  });
}

// prettier-ignore
const stories: readonly { readonly name: string; readonly model: OnnxModel; readonly width?: number }[] = [
  { name: 'preparing', model: model({ phase: 'Preparing', since: agoMs(9000), attempt: 1,
      message: '0 of 1 pods of bbbbbbbbbb are ready', reason: 'RevisionStarting' }) },
  { name: 'shifting', model: model({ phase: 'Shifting', since: agoMs(4000), attempt: 1, step: 2, desiredWeight: 50,
      setWeight: 25, actualWeight: 20, message:
      'bbbbbbbbbb is to get 50% of the traffic, has 25%: 1 of 4 pods are ready', reason: 'WeightMoving' }) },
  { name: 'analyzing', model: model({ phase: 'Analyzing', since: agoMs(190_000), attempt: 2,
      step: 1, desiredWeight: 5, actualWeight: 5, gates, judgedAt: agoMs(12_000), alpha: '0.00625',
      message:
      'bbbbbbbbbb at 5% of the traffic: p95 undecided: +4.1% (-6% to +13%, allowed 15%), about 900 more requests ' +
        'needed',
      reason: 'Analyzing' }) },
  { name: 'analyzing-narrow', width: 60, model: model(
      { phase: 'Analyzing', since: agoMs(190_000), step: 1, desiredWeight: 5,
      actualWeight: 5, gates, judgedAt: agoMs(12_000), alpha: '0.00625',
      message:
      'bbbbbbbbbb at 5% of the traffic: p95 undecided: +4.1% (-6% to +13%, allowed 15%), about 900 more requests ' +
        'needed',
      reason: 'Analyzing' }) },
  {
    name: 'foreseen',
    model: model({
      phase: 'Analyzing', since: agoMs(190_000), step: 3, desiredWeight: 50, actualWeight: 50, judgedAt: agoMs(12_000),
        alpha: '0.0125', message: 'analysing bbbbbbbbbb: 50 % of the traffic', reason: 'Analyzing',
      promise:
        'at 55 requests a minute this step takes about 12 to 17 min; it can show that the increase is at most ' +
          'p95 +39 % and errors +2.1 points; an increase of p95 +50 % and errors +4.4 points or more would be found ' +
          'in 30 min',
      gates: [{ ...gates[0]!, stillNeeded: 'about 900 to 2,400 more requests, 4 to 11 min',
        toShow: '+39%', ofClass: 'interactive requests of up to 512 elements',
        worstClass: 'interactive requests of up to 512 elements: +61%' }],
    }),
  },
  { name: 'paused', model: model({ phase: 'Paused', since: agoMs(300_000), step: 4, desiredWeight: 50,
      actualWeight: 50, pausedReason: 'Step', gates: gates.slice(0, 1), judgedAt: agoMs(3000),
      message: 'step 5 keeps bbbbbbbbbb at 50% of the traffic for 600 s', reason: 'PausedByStep' }) },
  { name: 'held', model: model({ phase: 'Analyzing', since: agoMs(300_000), heldAt: agoMs(60_000),
      step: 3, desiredWeight: 50, message: 'spec.rollout.paused holds bbbbbbbbbb at 50% of the traffic',
      reason: 'PausedManually' }) },
  {
    name: 'rolled-back',
    model: model({ phase: 'Failed', since: agoMs(5000), attempt: 1, gates: [failedGate],
      judgedAt: agoMs(5000), message: 'p95 is 52% above stable', reason: 'LatencyGateFailed' }, {
      stalled: true,
      history: [
        { revision: 'bbbbbbbbbb', outcome: 'RolledBack', reason: 'LatencyGateFailed',
          message: 'p95 is 52% above stable (at least 21%, allowed 15%)', at: agoMs(5000), weight: 5,
          gates: [failedGate, { name: 'errors', verdict: 'Pass', candidateRequests: 1180 }] },
        { revision: 'aaaaaaaaaa', outcome: 'Promoted', reason: 'Promoted', at: agoMs(90_000_000), weight: 100 },
      ],
    }),
  },
];

describe('the status page of a rollout', () => {
  for (const { name, model: of, width = 100 } of stories) {
    it(`${name}: status`, () =>
      assertGolden(`golden/cli/rollout-${name}.txt`, pictureText(pictureOf(of), { now, width })));
    it(`${name}: live`, () =>
      assertGolden(
        `golden/cli/live-${name}.txt`,
        pictureText(pictureOf(of), { now, width: Math.max(width, 130) - 30 }, 'live'),
      ));
    it(`${name}: scales, bars and steps are not wider than the terminal`, () => {
      const text = pictureText(pictureOf(of), { now, width: 72 }, 'live');
      const wide = text.split('\n').filter((line) => line.length > 72);
      // Check only these lines, because LiveFrame cuts the other lines.
      assert.deepEqual(
        wide.filter((line) => line.includes('├') || line.includes('█') || line.includes('▸')),
        [],
      );
    });
  }

  it('shows the verdict of pairs below a gate', () => {
    const message = 'p95 passes: increase at most +19%, from 310 paired probes (no live traffic needed)';
    const [p95] = gates;
    const paired = {
      ...p95!,
      verdict: 'Pass',
      paired: { verdict: 'Pass', probes: 310, upper: '+19%', message },
    } as const;
    const text = pictureText(
      pictureOf(
        model({
          phase: 'Analyzing',
          step: 1,
          desiredWeight: 5,
          actualWeight: 5,
          gates: [paired],
          judgedAt: agoMs(3000),
          alpha: '0.00625',
        }),
      ),
      { now, width: 100 },
    );
    assert.ok(text.split('\n').includes(`    ${message}`), text);
  });

  it('has the same text with and without colours', () => {
    const picture = pictureOf(stories[2]!.model);
    const painted = pictureText(picture, { now, width: 100, paint: coloured });
    assert.equal(
      painted
        .split('\u001b')
        .map((piece, i) => (i === 0 ? piece : piece.replace(/^\[\d+m/, '')))
        .join(''),
      pictureText(picture, { now, width: 100 }),
    );
    assert.ok(painted.includes('\u001b[32m✓\u001b[0m slo'));
  });

  it('leaves the steps out when the status counts other steps than the spec has', () => {
    const text = pictureText(
      pictureOf(model({ phase: 'Shifting', step: 1, steps: 3, desiredWeight: 67, actualWeight: 34 })),
      { now, width: 100 },
    );
    assert.match(text, /^Steps: step 2 of 3\nTraffic: target 67%$/m);
  });

  it('as a line names the step and the weight', () => {
    assert.equal(
      lineOf(pictureOf(stories[1]!.model)),
      'ml/ranker: Progressing: WeightMoving: [step 3 of 6, target 50%, actual 20%] bbbbbbbbbb is to get 50% of the ' +
        'traffic, has 25%: 1 of 4 pods are ready',
    );
    assert.equal(
      lineOf(pictureOf(stories.at(-1)!.model)),
      'ml/ranker: Stalled: LatencyGateFailed: p95 is 52% above stable',
    );
  });
});

describe('a scale', () => {
  const domain = { from: 0, to: 100 };
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly interval: Parameters<typeof drawScale>[0];
    readonly limit?: number; readonly want: string }[] = [
    { name: 'has bounds, estimate and limit',
      interval: { lower: 20, estimate: 50, upper: 80 }, limit: 90, want: '··├──●──┤│·' },
    { name: 'extends to the end without a bound',
      interval: { lower: 20, estimate: 50 }, limit: 90, want: '··├──●───│─' },
    { name: 'has only the limit before there is an estimate', interval: {}, limit: 50, want: '·····│·····' },
    { name: 'marks an estimate that equals the limit',
      interval: { estimate: 50, lower: 40, upper: 60 }, limit: 50, want: '····├◉┤····' },
    { name: 'shows bounds outside the range at its ends',
      interval: { lower: -50, estimate: 50, upper: 150 }, want: '├────●────┤' },
  ];
  for (const { name, interval, limit, want } of rows)
    it(name, () => assert.equal(drawScale(interval, limit, domain, 11), want));

  it('needs two numbers that differ', () => {
    assert.equal(domainOf([1, undefined, 1]), undefined);
    assert.equal(domainOf([]), undefined);
    assert.deepEqual(domainOf([0, 100]), { from: -6, to: 106 });
  });
});

describe('a bar', () => {
  const rows: readonly (readonly [share: number, bar: string])[] = [
    [0, '░░░░'],
    [0.001, '█░░░'],
    [0.5, '██░░'],
    [0.999, '███░'],
    [1, '████'],
  ];
  for (const [share, bar] of rows) it(`of ${share} is ${bar}`, () => assert.equal(drawBar(share, 4), bar));
});

describe('a number of the status', () => {
  const rows: readonly (readonly [text: string, number: number | undefined])[] = [
    ['+4.1%', 4.1],
    ['-6%', -6],
    ['48ms', 48],
    ['0', 0],
    ['1e+3ms', 1000],
    ['unknown', undefined],
    ['', undefined],
  ];
  for (const [text, number] of rows) it(`'${text}' is ${number}`, () => assert.equal(numberIn(text), number));
});

describe('text within a width', () => {
  it('is wrapped at words', () =>
    assert.deepEqual(wrapped(['aa', 'bb', 'cccccccc', 'd'], 5), ['aa bb', 'cccccccc', 'd']));
  it('is cut with a mark', () => assert.deepEqual([cutTo('abcdef', 4), cutTo('abcd', 4)], ['abc…', 'abcd']));
});

describe('a live frame', () => {
  const terminal = (columns: number, rows: number): Terminal => ({
    isLive: true,
    paint: unpainted,
    columns: () => columns,
    rows: () => rows,
  });
  it('redraws in place with the cursor hidden, and shows the cursor at the end', () => {
    let text = '';
    const frame = new LiveFrame((piece) => (text += piece), terminal(10, 10));
    frame.draw('one\ntwo\n');
    frame.draw('three\n');
    frame.end();
    frame.end();
    assert.equal(text, '\u001b[?25l\r\u001b[Jone\ntwo\n\u001b[2A\r\u001b[Jthree\n\u001b[?25h');
  });
  it('never wraps or scrolls', () => {
    let text = '';
    new LiveFrame((piece) => (text += piece), terminal(30, 4)).draw(
      `${'x'.repeat(40)}\n\u001b[31m${'y'.repeat(40)}\u001b[0m\n3\n4\n5\n`,
    );
    const lines = text.split('\n');
    assert.deepEqual(
      lines.map((line) => line.length > 60),
      [false, false, false, false],
    );
    assert.ok(
      text.includes(`${'x'.repeat(29)}…\n\u001b[31m${'y'.repeat(30)}\u001b[0m\n(3 more lines: enlarge the wi…`),
      text,
    );
  });
});
