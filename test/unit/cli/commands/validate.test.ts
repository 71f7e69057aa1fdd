import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { documentsOf } from '../../../../cli/offline/manifest-files.ts';
import { nearest } from '../../../../api/nearest-word.ts';
import { judge, validate, type Judged } from '../../../../cli/commands/validate.ts';

const head = 'apiVersion: onnx-operator.dev/v1alpha1\nkind: OnnxModel\nmetadata: {name: ranker, namespace: ml}\n';
const smallest = `${head}spec:\n  model: {uri: https://models.example/ranker.onnx}\n`;
const judged = (text: string): readonly Judged[] => documentsOf('m.yaml', text).flatMap(judge);
/** `line path: message (hint)` of each finding. */
const found = (text: string): readonly string[] =>
  judged(text).flatMap(({ findings }) =>
    findings.map(
      ({ severity, path, line, message, hint }) =>
        `${severity} ${line} ${path}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
    ),
  );

type Row = {
  readonly name: string;
  readonly text: string;
  readonly outcome: Judged['outcome'];
  readonly says: readonly (RegExp | string)[];
};

/** Each adds to a manifest that is right; the model's own line is 5. */
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'nothing of the smallest', text: smallest, outcome: 'Valid', says: [] },
  { name: 'an unknown field, and the one that was meant', text: `${smallest}  replica: 2\n`,
    outcome: 'Invalid', says: ['error 6 spec.replica: unknown field "replica" (did you mean replicas?)'] },
  { name: 'an unknown field deep inside', text:
      `${smallest}  execution:\n    providers:\n      - name: CPU\n        option: {}\n`, outcome: 'Invalid',
    says: ['error 9 spec.execution.providers[0].option: unknown field "option" (did you mean options?)'] },
  { name: 'an unknown field of the metadata', text: smallest.replace('{name:', '{nam: x, name:'),
    outcome: 'Invalid', says: ['error 3 metadata.nam: unknown field "nam" (leave it out)'] },
  { name: 'a field that is planned', text: `${smallest}  autoscaling: {maxReplicas: 3}\n`, outcome: 'Invalid',
    says: [
      'error 6 spec.autoscaling: unknown field "autoscaling" (it is planned and does nothing yet: leave it out)'] },
  { name: 'a field that is missing, where it should be', text: `${head}spec:\n  model:\n    task: Tensor\n`,
    outcome: 'Invalid', says: [/^error 5 spec\.model\.uri: Required value \(Where the model is: one file/,
      /some validation rules were not checked/] },
  { name: 'a number that should be text', text: `${smallest}  rollout:\n    gates:\n      alpha: 0.05\n`,
    outcome: 'Invalid',
    says: [/^error 8 spec\.rollout\.gates\.alpha: .*must be of type string: "number" \(write it in quotes: "0.05"\)/,
      /not checked/] },
  { name: 'a word that YAML 1.1, and so Kubernetes, takes for a boolean', text: `${smallest}  memory: {arena: On}\n`,
    outcome: 'Invalid', says: [/^error 6 spec\.memory\.arena: .*must be of type string: "boolean"/, /not checked/] },
  { name: 'a value that there is not, and the one that was meant', text: `${smallest}  execution: {precision: INT7}\n`,
    outcome: 'Invalid', says: [/Unsupported value: "INT7".*\(did you mean INT8\?\)/, /model\.variants has no file/] },
  { name: 'a rule of the whole', text: smallest.replace('https://', 'http://'), outcome: 'Invalid',
    says: [/^error 5 spec\.model\.digest: .*model\.digest is required with an http:\/\/ uri/] },
  { name: 'a name that is too long', text: smallest.replace('ranker,', `${'a'.repeat(41)},`),
    outcome: 'Invalid', says: [/metadata\.name must have at most 40 characters/] },
  { name: 'no name', text: smallest.replace('name: ranker, ', ''), outcome: 'Invalid',
    says: ['error 3 metadata.name: Required value: name or generateName is required', /not checked/] },
  { name: 'a version that is not served', text: smallest.replace('v1alpha1', 'v1'), outcome: 'Invalid',
    says: ['error 1 apiVersion: no version onnx-operator.dev/v1 is served (write onnx-operator.dev/v1alpha1)'] },
  { name: 'a key that is there twice', text: `${smallest}  replicas: 1\n  replicas: 2\n`,
    outcome: 'Invalid', says: [/^error 7 : is not YAML: Map keys must be unique/] },
  { name: 'a list entry that is there twice',
    text:
      `${smallest}  rollout:\n    gates:\n      latency:\n        - {name: a, quantile: "0.5", max: 5ms}\n        ` +
        `- {name: a, quantile: "0.9", max: 5ms}\n`,
    outcome: 'Invalid', says: [/^error 10 spec\.rollout\.gates\.latency\[1\]: Duplicate value/,
      /Immediate/].slice(0, 1) },
  { name: 'an alpha of 0', text: `${smallest}  rollout:\n    strategy: Canary\n    gates: {alpha: "0"}\n`,
    outcome: 'Invalid',
    says: [/^error 8 spec\.rollout\.gates\.alpha: .*alpha must be above 0 and below 1 \(given: 0\)/] },
  { name: 'a minDetectable below maxIncrease',
    text:
      `${smallest}  rollout:\n    strategy: Canary\n    gates: {latency: [{name: p95, quantile: "0.95", ` +
        `maxIncrease: 15%, minDetectable: 10%}]}\n`,
    outcome: 'Invalid',
    says: [
      new RegExp(String.raw`^error 8 spec\.rollout\.gates\.latency\[0\]\.minDetectable: .*minDetectable must be at ` +
        String.raw`least maxIncrease \(given: 10% and 15%\)`)] },
  { name: 'a minDetectable without maxIncrease',
    text: `${smallest}  rollout:\n    strategy: Canary\n    gates: {errors: {max: 2%, minDetectable: 5%}}\n`,
    outcome: 'Invalid',
    says: [/^error 8 spec\.rollout\.gates\.errors\.minDetectable: .*minDetectable is only allowed with maxIncrease/] },
  { name: 'a confidence that there is not',
    text: `${smallest}  rollout: {strategy: Canary, gates: {confidence: Strickt}}\n`, outcome: 'Invalid',
    says: [/Unsupported value: "Strickt".*\(did you mean Strict\?\)/, /not checked/].slice(0, 1) },
  { name: 'nothing of gates for little traffic',
    text:
      `${smallest}  rollout: {strategy: Canary, gates: {confidence: Quick, latency: [{name: p95, quantile: ` +
        '"0.95", maxIncrease: 15%, minDetectable: 100%, eachClass: true}], errors: {maxIncrease: 1%, minDetectable: ' +
        `5%}}}\n`,
    outcome: 'Valid', says: [] },
  { name: 'a request above its limit', text:
      `${smallest}  resources: {requests: {cpu: 2}, limits: {cpu: 500m}}\n`, outcome: 'Invalid',
    says: [
      'error 6 spec.resources.requests: Invalid value: cpu request 2 exceeds its limit 500m, so no pod can be ' +
        'created: lower resources.requests or raise resources.limits'] },
  { name: 'half a core without quotes', text: `${smallest}  resources: {requests: {cpu: 0.5}}\n`, outcome: 'Invalid',
    says: [/^error 6 spec\.resources\.requests\.cpu: .*\(write it in quotes: "0\.5"\)/, /not checked/] },
  { name: 'every way to write an amount', text:
      `${smallest}  memory: {limit: 1073741824}\n  resources: {requests: {cpu: ".5", ephemeral-storage: "+1E9"}, ` +
        `limits: {cpu: "1e3"}}\n`,
    outcome: 'Valid', says: [] },
  { name: 'a resource that no container has', text: `${smallest}  resources: {requests: {cores: 1}}\n`,
    outcome: 'Invalid', says: [/unknown resource name; allowed: cpu, memory, ephemeral-storage/] },
  { name: 'a device that is asked for otherwise than it is limited',
    text: `${smallest}  resources: {requests: {nvidia.com/gpu: "1"}, limits: {nvidia.com/gpu: "2"}}\n`,
    outcome: 'Invalid', says: [/devices .* cannot be overcommitted/] },
  { name: 'a request that equals its limit in other words',
    text: `${smallest}  resources: {requests: {cpu: "1"}, limits: {cpu: 1000m}}\n`, outcome: 'Valid', says: [] },
  { name: 'a label that no pod may have', text:
      `${smallest}  template:\n    metadata:\n      labels:\n        app.example/my name: x\n`, outcome: 'Invalid',
    says: [/^error 9 spec\.template\.metadata\.labels\.app\.example\/my name: no pod could be made/] },
  { name: 'gates that nothing asks', text: `${smallest}  rollout: {gates: {errors: {max: 2%}}}\n`, outcome: 'Valid',
    says: [
      'warning 6 spec.rollout.gates: with strategy Immediate, the default, nothing is judged under traffic ' +
        '(strategy: Canary)'] },
  { name: 'gates that are all turned off', text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [], errors: {}}}\n`, outcome: 'Valid',
    says: [
      new RegExp(String.raw`^warning 6 spec\.rollout\.gates: every gate is turned off: .*\(leave latency or ` +
        String.raw`errors out to have the defaults\)$`)] },
  { name: 'one gate that is left',
    text: `${smallest}  rollout: {strategy: Canary, gates: {latency: [], errors: {max: 2%}}}\n`,
    outcome: 'Valid', says: [] },
  { name: 'steps without a judgement', text:
      `${smallest}  rollout: {strategy: Canary, gates: {errors: {max: 2%}}, steps: [{weight: 5}]}\n`,
    outcome: 'Valid', says: [/the gates are never asked/] },
  { name: 'a judgement before any traffic',
    text: `${smallest}  rollout: {strategy: Canary, steps: [{weight: 0}, {analyze: {require: Pass}}]}\n`,
    outcome: 'Valid', says: [/^warning 6 spec\.rollout\.steps\[1\]: the candidate has no traffic yet/] },
  { name: 'a pause without an end',
    text: `${smallest}  rollout: {strategy: Canary, steps: [{weight: 5}, {pause: {}}]}\n`,
    outcome: 'Valid', says: [/steps\[1\]\.pause: it has no duration/] },
  { name: 'a warm-up that outlasts the deadline', text: `${smallest}  warmup: {timeout: 1h}\n`,
    outcome: 'Valid', says: [/1h is no less than spec\.rollout\.progressDeadline, 30m/] },
  { name: 'a step that is over before it can be decided',
    text:
      `${smallest}  rollout: {strategy: Canary, steps: [{weight: 5}, {analyze: {require: NoFail, maxDuration: 1m}}]}\n`,
    outcome: 'Valid',
    says: [
      new RegExp(String.raw`^warning 6 spec\.rollout\.steps\[1\]\.analyze\.maxDuration: .*after 1m it is ` +
        String.raw`undecided.*\(give it 2m or more\)`)] },
  { name: 'nothing of a step of two minutes',
    text:
      `${smallest}  rollout: {strategy: Canary, steps: [{weight: 5}, {analyze: {require: NoFail, maxDuration: 2m}}]}\n`,
    outcome: 'Valid', says: [] },
  { name: 'a shadow step that no gate can judge',
    text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [{name: slo, quantile: "0.95", max: 60ms}]}, ` +
        `steps: [{shadow: {require: Pass}}]}\n`,
    outcome: 'Valid',
    says: [/^warning 6 spec\.rollout\.steps\[0\]\.shadow: no gate can judge it.*add a latency gate with maxIncrease/] },
  { name: 'a shadow step that a gate by class cannot pass',
    text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [{name: p95, quantile: "0.95", maxIncrease: 15%, ` +
        `eachClass: true}]}, steps: [{shadow: {require: Pass}}]}\n`,
    outcome: 'Valid',
    says: [
      new RegExp(String.raw`^warning 6 spec\.rollout\.steps\[0\]\.shadow: p95 cannot pass it: pairs of service ` +
        'times tell nothing of classes')] },
  { name: 'a shadow step that a gate on a tail cannot pass',
    text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [{name: slowest, quantile: "0.99", maxIncrease: ` +
        `15%}]}, steps: [{shadow: {require: Pass}}]}\n`,
    outcome: 'Valid', says: [/^warning 6 spec\.rollout\.steps\[0\]\.shadow: slowest cannot pass it/] },
  { name: 'an intent in a file', text: `${smallest}  rollout: {retryToken: "1"}\n`,
    outcome: 'Valid', says: [/^warning 6 spec\.rollout\.retryToken: .*kubectl-onnx writes it/] },
  { name: 'a file of this machine', text: smallest.replace('https://models.example',
      'file:///models'), outcome: 'Valid', says: [/local mode alone/] },
];

describe('the check of a manifest', () => {
  for (const { name, text, outcome, says } of rows) {
    it(`finds ${name}`, () => {
      const all = found(text);
      assert.equal(judged(text)[0]?.outcome, outcome, all.join('\n'));
      assert.equal(all.length, says.length, all.join('\n'));
      for (const [i, wanted] of says.entries()) {
        if (typeof wanted === 'string') assert.equal(all[i], wanted);
        else assert.match(all[i] ?? '', wanted);
      }
    });
  }

  it('leaves a date in a label the text that it is', () =>
    assert.deepEqual(found(smallest.replace('{name:', '{labels: {since: 2026-01-01}, name:')), []));
  it('takes a generated name', () =>
    assert.deepEqual(found(smallest.replace('name: ranker', 'generateName: ranker-')), []));

  it('goes through documents and lists, and names what it skips', () => {
    const text =
      `${smallest}---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: golden}\n---\n` +
      `${head.replace('onnx-operator.dev/', 'other.example/')}---\njust: text\n---\napiVersion: v1\nkind: List\n` +
      `items:\n- ${smallest.trimEnd().replaceAll('\n', '\n  ')}\n- ` +
      `${`${smallest}  replica: 1`.replaceAll('\n', '\n  ')}\n`;
    assert.deepEqual(
      judged(text).map(({ document, line, kind, outcome, why, findings }) => [
        document,
        line,
        kind,
        outcome,
        why ?? findings.map((finding) => finding.line).join(),
      ]),
      [
        [1, 1, 'OnnxModel', 'Valid', ''],
        [3, 8, 'ConfigMap', 'Skipped', 'another kind'],
        [4, 12, 'OnnxModel', 'Skipped', 'another kind: OnnxModel of other.example/v1alpha1'],
        [5, 16, undefined, 'Skipped', 'no Kubernetes object: it has no kind'],
        [6, 21, 'OnnxModel', 'Valid', ''],
        [6, 26, 'OnnxModel', 'Invalid', '31'],
      ],
    );
  });

  it('takes JSON', () =>
    assert.equal(
      judged(
        JSON.stringify({
          apiVersion: 'onnx-operator.dev/v1alpha1',
          kind: 'OnnxModel',
          metadata: { name: 'a' },
          spec: { model: { uri: 'https://m.example/a.onnx' } },
        }),
      )[0]?.outcome,
      'Valid',
    ));
  it('skips what is no YAML and cannot be ours', () =>
    assert.equal(judged('{{ if .x }}\na: [\n')[0]?.outcome, 'Skipped'));
  it('refuses what is no YAML and may be ours', () =>
    assert.equal(judged('kind: OnnxModel\na: [\n')[0]?.outcome, 'Invalid'));
});

describe('kubectl-onnx validate', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'validate-'));
    mkdirSync(join(folder, 'below', '.hidden'), { recursive: true });
    writeFileSync(join(folder, 'good.yaml'), smallest);
    writeFileSync(join(folder, 'below', 'bad.yml'), `${smallest}  replica: 2\n`);
    writeFileSync(join(folder, 'below', '.hidden', 'worse.yaml'), 'kind: OnnxModel\n');
    writeFileSync(join(folder, 'notes.txt'), 'kind: OnnxModel\n');
  });
  after(() => rmSync(folder, { recursive: true }));

  async function ran(...argv: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
    let text = '';
    const code = await validate(argv, (piece) => (text += piece));
    return { code, text: text.replaceAll(folder, 'F') };
  }

  it('says a line for each document and ends with 1 when one is wrong', async () => {
    assert.deepEqual(await ran(folder), {
      code: 1,
      text:
        'F/below/bad.yml, document 1: OnnxModel ml/ranker: invalid\n  line 6: spec.replica: unknown field ' +
        '"replica" (did you mean replicas?)\nF/good.yaml, document 1: OnnxModel ml/ranker: valid\n1 valid, 1 ' +
        'invalid, 0 skipped\n',
    });
  });
  it('ends with 0 when nothing is wrong, and then has nothing to say when asked to be quiet', async () => {
    assert.equal((await ran(join(folder, 'good.yaml'))).code, 0);
    assert.deepEqual(await ran(join(folder, 'good.yaml'), '-q'), { code: 0, text: '' });
  });
  it('says that there was nothing to check', async () => {
    writeFileSync(join(folder, 'other.json'), '{"kind": "ConfigMap"}');
    assert.match(
      (await ran(join(folder, 'other.json'))).text,
      /0 valid, 0 invalid, 1 skipped; there was no OnnxModel to check/,
    );
    rmSync(join(folder, 'other.json'));
  });
  it('has all of it as JSON', async () => {
    const { code, text } = await ran(folder, '--json');
    const { valid, summary, documents } = JSON.parse(text) as {
      readonly valid: boolean;
      readonly summary: object;
      readonly documents: readonly Judged[];
    };
    assert.deepEqual(
      { code, valid, summary },
      { code: 1, valid: false, summary: { valid: 1, invalid: 1, skipped: 0 } },
    );
    assert.deepEqual(documents[0], {
      file: 'F/below/bad.yml',
      document: 1,
      line: 1,
      kind: 'OnnxModel',
      namespace: 'ml',
      name: 'ranker',
      outcome: 'Invalid',
      findings: [
        {
          severity: 'error',
          path: 'spec.replica',
          message: 'unknown field "replica"',
          hint: 'did you mean replicas?',
          line: 6,
        },
      ],
    });
  });
  it('refuses a file that is not there, and no file at all', async () => {
    await assert.rejects(ran('/nonexistent.yaml'), { code: 'FILE_UNREADABLE', kind: 'missing' });
    await assert.rejects(ran(), { code: 'BAD_FLAG', message: /FILE: needs a file/ });
  });
  it('finds nothing wrong with the examples of this repository', async () => {
    const { code, text } = await ran(fileURLToPath(new URL('../../../../examples', import.meta.url)), '--quiet');
    assert.deepEqual({ code, text }, { code: 0, text: '' });
  });
  it('explains itself', async () => assert.match((await ran('--help')).text, /^Usage: kubectl-onnx validate FILE/));
});

describe('the nearest word', () => {
  const rowsOf: readonly (readonly [word: string, nearest: string | undefined])[] = [
    ['Weight', 'weight'],
    ['wieght', 'weight'],
    ['pauze', 'pause'],
    ['strategy', undefined],
    ['', undefined],
  ];
  for (const [word, wanted] of rowsOf)
    it(`to '${word}' is ${wanted ?? 'none'}`, () =>
      assert.equal(nearest(word, ['weight', 'analyze', 'pause']), wanted));
});
