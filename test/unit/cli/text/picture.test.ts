import assert from 'node:assert/strict';
import { claimConditions, type Claim, type Condition } from '../../../../api/conditions.ts';
import type { OnnxModelStatus } from '../../../../api/onnxmodel.ts';
import { modelOutcomeOf } from '../../../../cli/cluster/outcome.ts';
import { ago } from '../../../../cli/text/ago.ts';
import { pictureText } from '../../../../cli/text/picture-text.ts';
import { conditionsThatMatter, pictureOf } from '../../../../cli/text/picture.ts';
import { plainLine, plainLines } from '../../../../cli/text/plain-text.ts';
import { given } from '../../../support/given.ts';
import { assertGolden } from '../../../support/golden.ts';

const now = Date.parse('2026-01-02T03:04:05Z');
const conditions = (claims: readonly Claim[], generation = 3): readonly Condition[] =>
  claimConditions([], claims, { now: now - 250_000, generation });
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

const stable = {
  revision: 'aaaaaaaaaa',
  generation: 2,
  digest,
  provider: 'CPU',
  precision: 'INT8',
  replicas: 2,
  ready: 2,
  memory: { limit: '512Mi', estimate: '80Mi', peak: '96Mi' },
} as const;
const healthy: OnnxModelStatus = {
  observedGeneration: 3,
  phase: 'Stable',
  message: '2 of 2 pods of aaaaaaaaaa are ready',
  address: { url: 'http://ranker.ml.svc:8080' },
  replicas: 2,
  readyReplicas: 2,
  stable,
  history: [{ revision: 'aaaaaaaaaa', outcome: 'Promoted', reason: 'Promoted', at: '2026-01-01T03:04:00Z' }],
  conditions: conditions([
    { type: 'Ready', status: 'True', reason: 'UpToDate', message: '2 of 2 pods of aaaaaaaaaa are ready' },
    { type: 'Available', status: 'True', reason: 'Serving', message: 'aaaaaaaaaa serves with 2 ready pods' },
  ]),
};
const failed: OnnxModelStatus = {
  ...healthy,
  phase: 'Failed',
  replicas: 4,
  candidate: {
    revision: 'bbbbbbbbbb',
    generation: 3,
    precision: 'FP32',
    replicas: 2,
    ready: 0,
    memory: { limit: '64Mi' },
    pods: [
      {
        name: 'ranker-bbbbbbbbbb-x1',
        reason: 'OOMKilled',
        lastWords: 'loading model.onnx\n\u001b[31mkilled\u001b[0m at 64Mi\n\n',
      },
      {
        name: 'ranker-bbbbbbbbbb-x2',
        reason: 'CrashLoopBackOff',
        lastWords: Array.from({ length: 11 }, (_, i) => `line ${i + 1}`).join('\n'),
      },
    ],
  },
  history: [
    {
      revision: 'bbbbbbbbbb',
      outcome: 'Failed',
      reason: 'OOMKilled',
      message: 'bbbbbbbbbb was given up: it needs more than 64Mi',
      at: '2026-01-02T03:00:00Z',
    },
    ...(healthy.history ?? []),
  ],
  // prettier-ignore
  conditions: conditions([
    { type: 'Ready', status: 'False', reason: 'OOMKilled',
      message: 'bbbbbbbbbb was given up: it needs more than 64Mi' },
    { type: 'Stalled', status: 'True', reason: 'OOMKilled',
      message: 'bbbbbbbbbb was given up: it needs more than 64Mi' },
    { type: 'Available', status: 'True', reason: 'Serving', message: 'aaaaaaaaaa serves with 2 ready pods' },
    { type: 'ModelLoaded', status: 'False', reason: 'OOMKilled', message: 'no pod loaded it' },
  ]),
};
const textOf = (status?: OnnxModelStatus): string =>
  pictureText(pictureOf(given.model({}, status === undefined ? {} : { status })), { now });

describe('the status page of a model', () => {
  it('is short for a healthy model', () => assertGolden('golden/cli/status-healthy.txt', textOf(healthy)));
  it('shows the termination messages of failing pods', () =>
    assertGolden('golden/cli/status-failed.txt', textOf(failed)));
  it('says that the operator has not observed the model', () => assertGolden('golden/cli/status-unseen.txt', textOf()));
  it('names the observed generation after a change of the spec', () =>
    assertGolden('golden/cli/status-changed.txt', textOf({ ...healthy, observedGeneration: 2 })));

  it('shows pinned, paused and not proven without a rollout', () => {
    const unproven = { ...healthy, stable: { ...stable, provenance: 'Forced' } };
    const picture = pictureOf(
      given.model({ rollout: { pinRevision: 'aaaaaaaaaa', paused: true } }, { status: unproven }),
    );
    assert.deepEqual([picture.pinned, picture.paused], ['aaaaaaaaaa', true]);
    const text = pictureText(picture, { now });
    assert.match(text, /^ {2}pinned +aaaaaaaaaa, until "unpin"$/m);
    assert.match(text, /^ {2}paused +spec\.rollout\.paused holds the next rollout, until "resume"$/m);
    assert.match(text, /^ {2}not proven +aaaaaaaaaa \(Forced\): remaining checks, steps and gates skipped/m);
    assert.match(pictureText(picture, { now }, 'live'), /pinned/);
  });

  it('has all conditions and pods as JSON', () => {
    const picture = pictureOf(given.model({}, { status: failed }));
    assert.deepEqual(picture.conditions, failed.conditions);
    assert.deepEqual(picture.candidate, failed.candidate);
    assert.deepEqual(picture.pods, { all: 4, ready: 2, wanted: 2 });
    assert.deepEqual(
      [picture.outcome, picture.reason, picture.url],
      ['Stalled', 'OOMKilled', 'http://ranker.ml.svc:8080'],
    );
  });

  it('shows at most five rollouts', () => {
    const history = Array.from({ length: 10 }, (_, i) => ({
      revision: `${i}`.repeat(10),
      outcome: 'Promoted' as const,
      reason: 'Promoted',
      at: '2026-01-01T00:00:00Z',
    }));
    assert.equal(textOf({ ...healthy, history }).match(/Promoted {2}(\d)\1{9} /g)?.length, 5);
  });
});

describe('conditions that matter', () => {
  const rows: readonly { readonly type: Claim['type']; readonly status: Claim['status']; readonly matters: boolean }[] =
    [
      { type: 'Ready', status: 'True', matters: true },
      { type: 'Ready', status: 'False', matters: true },
      { type: 'Stalled', status: 'True', matters: true },
      { type: 'Reconciling', status: 'True', matters: true },
      { type: 'Reconciling', status: 'False', matters: false },
      { type: 'Available', status: 'True', matters: false },
      { type: 'Available', status: 'False', matters: true },
      { type: 'ArtifactReady', status: 'Unknown', matters: true },
    ];
  for (const { type, status, matters } of rows) {
    it(`${matters ? 'have' : 'leave out'} ${type} ${status}`, () =>
      assert.equal(
        conditionsThatMatter(conditions([{ type, status, reason: 'R', message: 'm' }])).length,
        matters ? 1 : 0,
      ));
  }
});

describe('the outcome of a model', () => {
  it('is Stalled when Ready and Stalled are both True', () => {
    const both = conditions([
      { type: 'Ready', status: 'True', reason: 'A', message: '' },
      { type: 'Stalled', status: 'True', reason: 'B', message: '' },
    ]);
    assert.equal(modelOutcomeOf(given.model({}, { status: { ...healthy, conditions: both } })).outcome, 'Stalled');
  });
  it('is Progressing while Ready is for an earlier generation', () => {
    const old = conditions([{ type: 'Ready', status: 'True', reason: 'A', message: '' }], 2);
    assert.equal(modelOutcomeOf(given.model({}, { status: { ...healthy, conditions: old } })).outcome, 'Progressing');
  });
});

describe('text of other programs', () => {
  it('loses its control characters', () =>
    assert.equal(plainLine('a\u001b[2Jb\r\u0007c\u009bd\u2028e'), 'a [2Jb c d e'));
  it('keeps its lines, without the empty ones', () => assert.deepEqual(plainLines('a\r\n\n\tb\n'), ['a', 'b']));
});

describe('ago', () => {
  const rows: readonly (readonly [ms: number, text: string])[] = [
    [-5000, '0s'],
    [0, '0s'],
    [59_999, '59s'],
    [60_000, '1m'],
    [3_599_000, '59m'],
    [3_600_000, '1h'],
    [200_000_000, '2d'],
  ];
  for (const [ms, text] of rows)
    it(`is ${text} after ${ms} ms`, () => assert.equal(ago(new Date(now - ms).toISOString(), now), text));
  it('is ? for text that is not a time', () => assert.equal(ago('yesterday', now), '?'));
});
