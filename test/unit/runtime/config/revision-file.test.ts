/** Which configs are accepted, and the messages about configs that are not. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { checkRuntimeConfig } from '../../../../runtime/config/revision-file.ts';
import { completeConfig } from '../../../../runtime/config/serve-file.ts';
import { givenConfig } from '../../../support/model-server.ts';

const config = givenConfig();
const saying =
  (says: RegExp) =>
  (error: unknown): boolean =>
    error instanceof AppError && error.code === 'BAD_CONFIG' && says.test(error.message);

describe('checkRuntimeConfig', () => {
  it('takes a whole config unchanged', () =>
    assert.deepEqual(checkRuntimeConfig(JSON.parse(JSON.stringify(config)), 'f'), config));

  const embedding = {
    tokenizer: 'tokenizer.json',
    pooling: 'Mean',
    normalize: true,
    maxTokens: 8,
    onTooLong: 'Refuse',
  };
  it('takes an embedding task', () =>
    assert.equal(checkRuntimeConfig({ ...config, task: 'Embedding', embedding }, 'f').embedding?.pooling, 'Mean'));

  const golden = { id: 'sha256:1', metric: 'Cosine', min: 0.9, source: { kind: 'File', file: 'golden.jsonl' } };
  it('takes a golden set from each of its sources', () => {
    for (const source of [
      golden.source,
      { kind: 'Uri', uri: 'https://x/y', digest: `sha256:${'0'.repeat(64)}` },
      { kind: 'Generated', seed: 7, cases: 16 },
    ]) {
      assert.deepEqual(checkRuntimeConfig({ ...config, golden: { ...golden, source } }, 'f').golden, {
        ...golden,
        source,
      });
    }
  });

  // prettier-ignore
  const rows: readonly { readonly name: string; readonly value: unknown; readonly says: RegExp }[] = [
    { name: 'a golden set of an unknown kind', value: { ...config, golden: { ...golden, source: { kind: 'Air' } } },
      says: /golden\.source\.kind: "Air" is not one of File, Uri, Generated/ },
    { name: 'a golden set outside of the mounted folder',
      value: { ...config, golden: { ...golden, source: { kind: 'File', file: '../x' } } },
      says: /golden\.source\.file: "\.\.\/x" is not the name of a file/ },
    { name: 'an invalid golden limit', value: { ...config, golden: { ...golden, min: 1.5 } },
      says: /golden\.min: 1\.5 is not a number from -1 to 1/ },
    { name: 'a list', value: [], says: /^f: \[\] is not an object$/ },
    { name: 'a missing field', value: { ...config, warmup: undefined }, says: /^f: warmup: is missing$/ },
    { name: 'a misspelt field', value: { ...config, batching: { ...config.batching, maxBatchsize: 3 } },
      says: /^f: batching\.maxBatchsize: unknown field; did you mean maxBatchSize\? available fields: maxBatchSize, / },
    { name: 'another schema', value: { ...config, schema: 2 }, says: /^f: schema: 2 is not one of 1$/ },
    { name: 'a number out of range', value: { ...config, batching: { ...config.batching, maxBatchSize: 0 } },
      says: /maxBatchSize: 0 is not an integer from 1 to 1024/ },
    { name: 'a fraction', value: { ...config, execution: { ...config.execution, workers: 1.5 } },
      says: /execution\.workers: 1\.5 is not an integer/ },
    { name: 'an unknown word', value: { ...config, memory: { arena: 'Sometimes' } },
      says: /memory\.arena: "Sometimes" is not one of Auto, On, Off/ },
    { name: 'an empty list of providers', value: { ...config,
        execution: { ...config.execution, providers: [] } }, says: /execution\.providers: has 0 entries/ },
    { name: 'a fault in the middle of a list',
      value: { ...config, execution: { ...config.execution,
        providers: [{ name: 'CPU', options: {} }, { name: 'TPU', options: {} }] } },
      says: /execution\.providers\[1\]\.name: "TPU" is not one of/ },
    { name: 'a number among texts', value: { ...config, execution: { ...config.execution, sessionConfig: { a: 1 } } },
      says: /execution\.sessionConfig\.a: 1 is not text/ },
    { name: 'an invalid digest', value: { ...config, source: { ...config.source, digest: 'md5:1' } },
      says: /source\.digest: "md5:1" is not a digest/ },
    { name: 'a name with other characters', value: { ...config, name: 'M/x' }, says: /name: "M\/x" is not a name/ },
    { name: 'task Embedding without embedding', value: { ...config, task: 'Embedding' },
      says: /embedding: is required with task Embedding/ },
    { name: 'embedding with another task',
      value: { ...config, embedding }, says: /embedding: is only allowed with task Embedding \(task: Tensor\)/ },
  ];
  for (const { name, value, says } of rows)
    it(`refuses ${name}`, () => assert.throws(() => checkRuntimeConfig(value, 'f'), saying(says)));
});

describe('completeConfig', () => {
  const complete = (value: unknown) => completeConfig(value, 'f', { uri: 'file:///m.onnx', name: 'm' });

  it('fills in all defaults', () => {
    const { batching, warmup, task, execution } = complete(undefined);
    assert.deepEqual(
      [batching, warmup, task, execution.providers],
      [
        { maxQueueDelayMs: 0, maxQueueDepth: 256 },
        { requests: 5, timeoutMs: 300_000 },
        'Tensor',
        [{ name: 'CPU', options: {} }],
      ],
    );
  });

  it('reads the spec of a manifest, with the URI of the command line', () => {
    const manifest = {
      apiVersion: 'onnx-operator.dev/v1alpha1',
      kind: 'OnnxModel',
      metadata: { name: 'other' },
      spec: {
        replicas: 3,
        model: { uri: 'pvc://x/y/', task: 'Embedding', embedding: { pooling: 'Cls' } },
        memory: { limit: '1Gi' },
        rollout: { strategy: 'Immediate' },
      },
    };
    const { source, task, embedding, memory } = complete(manifest);
    assert.deepEqual(
      [source.uri, task, embedding, memory.limitBytes],
      [
        'file:///m.onnx',
        'Embedding',
        { tokenizer: 'tokenizer.json', pooling: 'Cls', normalize: true, onTooLong: 'Truncate' },
        2 ** 30,
      ],
    );
  });

  it('reads durations and amounts', () => {
    const { batching, warmup, memory } = complete({
      batching: { maxQueueDelay: '1.5s' },
      warmup: { timeout: '2m' },
      memory: { limit: '512Mi', arena: 'On' },
    });
    assert.deepEqual(
      [batching.maxQueueDelayMs, warmup.timeoutMs, memory],
      [1500, 120_000, { limitBytes: 512 * 2 ** 20, arena: 'On' }],
    );
  });

  it("also reads the fields of a pod's config", () =>
    assert.equal(complete({ batching: { maxQueueDelayMs: 5 } }).batching.maxQueueDelayMs, 5));
  it('also reads the spec of a manifest without kind', () =>
    assert.equal(complete({ spec: { batching: { maxBatchSize: 3 } } }).batching.maxBatchSize, 3));
  it('finds the graph in a folder', () =>
    assert.equal(
      complete({ model: { graphs: [{ name: 'model', path: 'onnx/model.onnx' }] } }).source.graphPath,
      'onnx/model.onnx',
    ));

  // prettier-ignore
  const rows: readonly { readonly name: string; readonly value: unknown; readonly says: RegExp }[] = [
    { name: 'a misspelt field', value: { batching: { maxQueueDely: '5ms' } },
      says: /batching\.maxQueueDely: unknown field; did you mean maxQueueDelay\?/ },
    { name: 'a duration without a unit', value: { batching: { maxQueueDelay: 5 } },
      says: /batching\.maxQueueDelay: 5 is not a duration/ },
    { name: 'an invalid amount', value: { memory: { limit: 'lots' } },
      says: /memory\.limit: "lots" is not an amount of memory/ },
    { name: 'a list', value: [], says: /\[\] is not an object/ },
    { name: 'an embedding part with another task',
      value: { task: 'Tensor', embedding: { pooling: 'Mean' } }, says: /embedding/ },
  ];
  for (const { name, value, says } of rows)
    it(`refuses ${name}`, () => assert.throws(() => complete(value), saying(says)));
});
