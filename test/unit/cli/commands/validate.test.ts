import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { documentsOf } from '../../../../cli/offline/manifest-files.ts';
import { nearest } from '../../../../api/nearest-word.ts';
import { judgeDocument, validate, type JudgedDocument } from '../../../../cli/commands/validate.ts';

const head = 'apiVersion: onnx-operator.dev/v1alpha1\nkind: OnnxModel\nmetadata: {name: ranker, namespace: ml}\n';
const smallest = `${head}spec:\n  model: {uri: https://models.example/ranker.onnx}\n`;
const judged = (text: string): readonly JudgedDocument[] => documentsOf('m.yaml', text).flatMap(judgeDocument);
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
  readonly outcome: JudgedDocument['outcome'];
  readonly says: readonly (RegExp | string)[];
};

/** Each row adds lines to a valid manifest, in which `model` is in line 5. */
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'nothing wrong with the smallest manifest', text: smallest, outcome: 'Valid', says: [] },
  { name: 'an unknown field, and suggests a similar one', text: `${smallest}  replica: 2\n`,
    outcome: 'Invalid', says: ['error 6 spec.replica: unknown field "replica" (did you mean replicas?)'] },
  { name: 'an unknown field deep inside', text:
      `${smallest}  execution:\n    providers:\n      - name: CPU\n        option: {}\n`, outcome: 'Invalid',
    says: ['error 9 spec.execution.providers[0].option: unknown field "option" (did you mean options?)'] },
  { name: 'an unknown field of the metadata', text: smallest.replace('{name:', '{nam: x, name:'),
    outcome: 'Invalid', says: ['error 3 metadata.nam: unknown field "nam" (remove it)'] },
  { name: 'a field that is planned', text: `${smallest}  autoscaling: {maxReplicas: 3}\n`, outcome: 'Invalid',
    says: [
      'error 6 spec.autoscaling: unknown field "autoscaling" ' +
        '(the field is planned and has no effect yet: remove it)'] },
  { name: 'a missing field, at its parent', text: `${head}spec:\n  model:\n    task: Tensor\n`,
    outcome: 'Invalid', says: [/^error 5 spec\.model\.uri: Required value \(Where the model is: one file/,
      /some validation rules were not checked/] },
  { name: 'a number that should be text', text: `${smallest}  rollout:\n    gates:\n      alpha: 0.05\n`,
    outcome: 'Invalid',
    says: [/^error 8 spec\.rollout\.gates\.alpha: .*must be of type string: "number" \(write it in quotes: "0.05"\)/,
      /not checked/] },
  { name: 'a word that is a boolean in YAML 1.1, as in Kubernetes', text: `${smallest}  memory: {arena: On}\n`,
    outcome: 'Invalid', says: [/^error 6 spec\.memory\.arena: .*must be of type string: "boolean"/, /not checked/] },
  { name: 'an unknown value, and suggests a similar one', text: `${smallest}  execution: {precision: INT7}\n`,
    outcome: 'Invalid', says: [/Unsupported value: "INT7".*\(did you mean INT8\?\)/, /model\.variants has no file/] },
  { name: 'a rule of the whole', text: smallest.replace('https://', 'http://'), outcome: 'Invalid',
    says: [/^error 5 spec\.model\.digest: .*model\.digest is required with an http:\/\/ uri/] },
  { name: 'a name that is too long', text: smallest.replace('ranker,', `${'a'.repeat(41)},`),
    outcome: 'Invalid', says: [/metadata\.name must be at most 40 lower-case letters/] },
  { name: 'no name', text: smallest.replace('name: ranker, ', ''), outcome: 'Invalid',
    says: ['error 3 metadata.name: Required value: name or generateName is required', /not checked/] },
  { name: 'a version that is not served', text: smallest.replace('v1alpha1', 'v1'), outcome: 'Invalid',
    says: ['error 1 apiVersion: unknown version onnx-operator.dev/v1 (write onnx-operator.dev/v1alpha1)'] },
  { name: 'a duplicate key', text: `${smallest}  replicas: 1\n  replicas: 2\n`,
    outcome: 'Invalid', says: [/^error 7 : not YAML: Map keys must be unique/] },
  { name: 'a duplicate list entry',
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
    says: [/^error 8 spec\.rollout\.gates\.errors\.minDetectable: .*minDetectable requires maxIncrease/] },
  { name: 'an unknown confidence',
    text: `${smallest}  rollout: {strategy: Canary, gates: {confidence: Strickt}}\n`, outcome: 'Invalid',
    says: [/Unsupported value: "Strickt".*\(did you mean Strict\?\)/, /not checked/].slice(0, 1) },
  { name: 'nothing wrong with gates for low traffic',
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
  { name: 'nothing wrong with any spelling of a quantity', text:
      `${smallest}  memory: {limit: 1073741824}\n  resources: {requests: {cpu: ".5", ephemeral-storage: "+1E9"}, ` +
        `limits: {cpu: "1e3"}}\n`,
    outcome: 'Valid', says: [] },
  { name: 'an unknown resource', text: `${smallest}  resources: {requests: {cores: 1}}\n`,
    outcome: 'Invalid', says: [/unknown resource name; allowed: cpu, memory, ephemeral-storage/] },
  { name: 'a device whose request differs from its limit',
    text: `${smallest}  resources: {requests: {nvidia.com/gpu: "1"}, limits: {nvidia.com/gpu: "2"}}\n`,
    outcome: 'Invalid', says: [/devices .* cannot be overcommitted/] },
  { name: 'nothing wrong with a request that equals its limit in another spelling',
    text: `${smallest}  resources: {requests: {cpu: "1"}, limits: {cpu: 1000m}}\n`, outcome: 'Valid', says: [] },
  { name: 'an invalid pod label', text:
      `${smallest}  template:\n    metadata:\n      labels:\n        app.example/my name: x\n`, outcome: 'Invalid',
    says: [/^error 9 spec\.template\.metadata\.labels\.app\.example\/my name: the API server would refuse the pods/] },
  { name: 'gates without effect', text: `${smallest}  rollout: {gates: {errors: {max: 2%}}}\n`, outcome: 'Valid',
    says: [
      'warning 6 spec.rollout.gates: the gates have no effect: strategy Immediate, the default, does not judge the ' +
        'candidate under traffic (set strategy: Canary)'] },
  { name: 'gates that are all off', text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [], errors: {}}}\n`, outcome: 'Valid',
    says: [
      new RegExp(String.raw`^warning 6 spec\.rollout\.gates: all gates are off: .*\(remove the empty latency ` +
        String.raw`or errors to get their defaults\)$`)] },
  { name: 'nothing wrong with one remaining gate',
    text: `${smallest}  rollout: {strategy: Canary, gates: {latency: [], errors: {max: 2%}}}\n`,
    outcome: 'Valid', says: [] },
  { name: 'steps without an analyze or shadow step', text:
      `${smallest}  rollout: {strategy: Canary, gates: {errors: {max: 2%}}, steps: [{weight: 5}]}\n`,
    outcome: 'Valid', says: [/the gates have no effect: the steps contain no analyze or shadow step/] },
  { name: 'an analyze step before any traffic',
    text: `${smallest}  rollout: {strategy: Canary, steps: [{weight: 0}, {analyze: {require: Pass}}]}\n`,
    outcome: 'Valid', says: [/^warning 6 spec\.rollout\.steps\[1\]: the candidate has no traffic yet/] },
  { name: 'a pause without an end',
    text: `${smallest}  rollout: {strategy: Canary, steps: [{weight: 5}, {pause: {}}]}\n`,
    outcome: 'Valid', says: [/steps\[1\]\.pause: the pause has no duration/] },
  { name: 'a warm-up longer than the deadline', text: `${smallest}  warmup: {timeout: 1h}\n`,
    outcome: 'Valid', says: [/1h is not less than spec\.rollout\.progressDeadline \(30m\)/] },
  { name: 'a step that ends before it can be decided',
    text:
      `${smallest}  rollout: {strategy: Canary, steps: [{weight: 5}, {analyze: {require: NoFail, maxDuration: 1m}}]}\n`,
    outcome: 'Valid',
    says: [
      new RegExp(String.raw`^warning 6 spec\.rollout\.steps\[1\]\.analyze\.maxDuration: 1m is too short: ` +
        String.raw`.*always ends undecided \(use 2m or more\)`)] },
  { name: 'nothing wrong with a step of two minutes',
    text:
      `${smallest}  rollout: {strategy: Canary, steps: [{weight: 5}, {analyze: {require: NoFail, maxDuration: 2m}}]}\n`,
    outcome: 'Valid', says: [] },
  { name: 'a shadow step that no gate can judge',
    text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [{name: slo, quantile: "0.95", max: 60ms}]}, ` +
        `steps: [{shadow: {require: Pass}}]}\n`,
    outcome: 'Valid',
    says: [/^warning 6 spec\.rollout\.steps\[0\]\.shadow: no gate can judge the shadow step.*add a latency gate/] },
  { name: 'a shadow step that a gate by class cannot pass',
    text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [{name: p95, quantile: "0.95", maxIncrease: 15%, ` +
        `eachClass: true}]}, steps: [{shadow: {require: Pass}}]}\n`,
    outcome: 'Valid',
    says: [
      new RegExp(String.raw`^warning 6 spec\.rollout\.steps\[0\]\.shadow: gate p95 cannot pass in a shadow ` +
        'step: pairs of service times cannot judge size classes')] },
  { name: 'a shadow step that a gate on a tail cannot pass',
    text:
      `${smallest}  rollout: {strategy: Canary, gates: {latency: [{name: slowest, quantile: "0.99", maxIncrease: ` +
        `15%}]}, steps: [{shadow: {require: Pass}}]}\n`,
    outcome: 'Valid',
    says: [/^warning 6 spec\.rollout\.steps\[0\]\.shadow: gate slowest cannot pass in a shadow step/] },
  { name: 'an intent in a file', text: `${smallest}  rollout: {retryToken: "1"}\n`,
    outcome: 'Valid', says: [/^warning 6 spec\.rollout\.retryToken: .*kubectl-onnx writes it/] },
  { name: 'a model on the local machine', text: smallest.replace('https://models.example',
      'file:///models'), outcome: 'Valid', says: [/works only in local mode/] },
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

  it('keeps a date in a label as text', () =>
    assert.deepEqual(found(smallest.replace('{name:', '{labels: {since: 2026-01-01}, name:')), []));
  it('accepts generateName', () =>
    assert.deepEqual(found(smallest.replace('name: ranker', 'generateName: ranker-')), []));

  it('checks documents and lists, and reports skipped objects', () => {
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
        [5, 16, undefined, 'Skipped', 'not a Kubernetes object: kind is missing'],
        [6, 21, 'OnnxModel', 'Valid', ''],
        [6, 26, 'OnnxModel', 'Invalid', '31'],
      ],
    );
  });

  it('accepts JSON', () =>
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
  it('skips a text that is not YAML and does not contain OnnxModel', () =>
    assert.equal(judged('{{ if .x }}\na: [\n')[0]?.outcome, 'Skipped'));
  it('refuses a text that is not YAML and contains OnnxModel', () =>
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

  it('prints a line for each document and exits with 1 when a document is invalid', async () => {
    assert.deepEqual(await ran(folder), {
      code: 1,
      text:
        'F/below/bad.yml, document 1: OnnxModel ml/ranker: invalid\n  line 6: spec.replica: unknown field ' +
        '"replica" (did you mean replicas?)\nF/good.yaml, document 1: OnnxModel ml/ranker: valid\n1 valid, 1 ' +
        'invalid, 0 skipped\n',
    });
  });
  it('exits with 0 when all documents are valid, without output when --quiet', async () => {
    assert.equal((await ran(join(folder, 'good.yaml'))).code, 0);
    assert.deepEqual(await ran(join(folder, 'good.yaml'), '-q'), { code: 0, text: '' });
  });
  it('reports that it found no OnnxModel', async () => {
    writeFileSync(join(folder, 'other.json'), '{"kind": "ConfigMap"}');
    assert.match((await ran(join(folder, 'other.json'))).text, /0 valid, 0 invalid, 1 skipped; no OnnxModel found/);
    rmSync(join(folder, 'other.json'));
  });
  it('prints everything as JSON', async () => {
    const { code, text } = await ran(folder, '--json');
    const { valid, summary, documents } = JSON.parse(text) as {
      readonly valid: boolean;
      readonly summary: object;
      readonly documents: readonly JudgedDocument[];
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
  it('refuses a missing file, and a missing argument', async () => {
    await assert.rejects(ran('/nonexistent.yaml'), { code: 'FILE_UNREADABLE', kind: 'missing' });
    await assert.rejects(ran(), { code: 'BAD_FLAG', message: /FILE: give a file/ });
  });
  it('finds nothing wrong with the examples of this repository', async () => {
    const { code, text } = await ran(fileURLToPath(new URL('../../../../examples', import.meta.url)), '--quiet');
    assert.deepEqual({ code, text }, { code: 0, text: '' });
  });
  it('prints its help', async () => assert.match((await ran('--help')).text, /^Usage: kubectl-onnx validate FILE/));
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
