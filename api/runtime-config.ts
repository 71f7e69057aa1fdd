/**
 * The config of a revision's pods, with all defaults: the operator writes it to a ConfigMap, and the runtime reads it.
 *
 * Owns: the schema, from which the types, the check (runtime/config/revision-file.ts) and
 *       docs/reference/runtime-config.md are made. A field that the spec also has uses the spec's schema
 *       (api/schema/revision.ts). Units are in the names.
 */
import { bounds } from './bounds.ts';
import { precisions } from './choices.ts';
import { goldenMetricNames } from './golden-metrics.ts';
import { k, type Infer } from './schema/builder.ts';
import { c } from './schema/contract.ts';
import * as spec from './schema/revision.ts';
import { digestPattern } from './schema/values.ts';
import { taskNames } from './tasks.ts';

const digest = (): ReturnType<typeof c.text> =>
  c.text({ ...bounds.digest, pattern: digestPattern, name: 'a digest: sha256: and 64 hex digits' });
const path = (): ReturnType<typeof c.text> => c.text({ min: 1, ...bounds.path });
const uri = (): ReturnType<typeof c.text> => c.text(bounds.uri);
const milliseconds = (): ReturnType<typeof k.integer> => k.integer(bounds.waitMs);

/**
 * The fields of each part of the config. The config file of the command `serve` (runtime/config/serve-file.ts) has the
 * same fields.
 */
export const sourceFields = {
  uri: uri().doc('Where the model is: one file, or a folder when the URI ends with "/".'),
  digest: digest()
    .doc(
      'SHA-256 that the source must have; of a folder, SHA-256 of its sorted lines "sha256  path". Absent: not ' +
        'checked.',
    )
    .optional(),
  files: k
    .list(
      k.object({
        path: path().doc('Relative path of the file in the folder.'),
        digest: digest().doc('SHA-256 that the file must have.'),
      }),
      bounds.files,
    )
    .doc('Every file of the folder that is used, with its digest. Absent: all files.')
    .optional(),
  variants: k
    .list(
      k.object({
        precision: k.oneOf(precisions).doc("Number format of this file's weights."),
        path: path().doc('Relative path of the .onnx file in the folder.'),
      }),
      bounds.variants,
    )
    .doc('Files of the same model in other precisions.'),
  graphPath: path()
    .doc('Path of the served .onnx file in the folder. Absent: model.onnx, or the file itself.')
    .optional(),
};

export const embeddingFields = {
  ...c.filled(spec.embeddingSpec, ['output', 'pooling', 'maxTokens']),
  tokenizer: path().doc('Path of tokenizer.json in the source. tokenizer_config.json is read from the same folder.'),
};

export const executionFields = {
  ...c.filled(spec.executionSpec, ['workers', 'threadsPerWorker']),
  providers: k
    .list(k.object(c.filled(spec.providerSpec)), bounds.providers)
    .doc('Execution providers in order of preference.'),
};

const { maxQueueDelay: _delay, ...sharedBatching } = spec.batchingSpec;
export const batchingFields = {
  ...c.filled(sharedBatching, ['maxBatchSize', 'clientHeader']),
  maxQueueDelayMs: milliseconds().doc(
    'How long a request may wait in the queue to be batched with others, in milliseconds. 0: only requests that ' +
      'already wait are combined.',
  ),
};

const { limit: _limit, ...sharedMemory } = spec.memorySpec;
export const memoryFields = {
  ...c.filled(sharedMemory),
  limitBytes: k
    .integer({ ...bounds.memoryLimitBytes, format: 'int64' })
    .doc("The container's memory limit in bytes. Absent: the cgroup's limit is used, if there is one.")
    .optional(),
};

const { timeout: _timeout, ...sharedWarmup } = spec.warmupSpec;
export const warmupFields = {
  ...c.filled(sharedWarmup),
  timeoutMs: milliseconds().doc(
    'How long the warm-up may take, in milliseconds. A pod whose warm-up takes longer fails.',
  ),
};

const goldenSource = c.variants({
  File: {
    // Accepts only a plain file name, so that the path cannot leave the folder.
    file: c
      .text({ max: 253, pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$', name: 'the name of a file beside the config' })
      .doc("The key of the set in the revision's own ConfigMap."),
  },
  Uri: {
    uri: uri().doc('The file with the set. `prepare` fetches it.'),
    digest: digest().doc('SHA-256 that the file must have.'),
  },
  Generated: {
    seed: k
      .integer({ min: 0, max: 2 ** 31 - 1 })
      .doc('Selects the generated inputs: the same seed gives the same inputs.'),
    cases: k.integer({ min: 1, max: 1000 }).doc('Number of generated inputs.'),
  },
});

const golden = k.object({
  id: c.text({ max: 128 }).doc("Digest of the fields below and of the set's bytes. Identifies the set in a report."),
  metric: k.oneOf(goldenMetricNames).doc('How an answer is compared with the expected one.'),
  min: c
    .number({ min: -1, max: 1 })
    .doc('Lowest score that passes, for metrics that are better when higher. Absent: max is set.')
    .optional(),
  max: c
    .number({ min: 0, max: Number.MAX_VALUE })
    .doc('Highest error that passes, for metrics that are better when lower. Absent: min is set.')
    .optional(),
  source: goldenSource.doc(
    "Where the cases come from. Generated: inputs are made from the model's I/O signature, and stable's answers are " +
      'the expected ones; without a stable revision, answers are only checked for finite numbers.',
  ),
});

/** The schema of the whole config file. */
export const runtimeConfigSchema = c.ruled(
  k.object({
    schema: c.only(1).doc('Version of this contract.'),
    name: c
      .text({
        max: 40,
        pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$',
        name: 'a name: lower-case letters, digits and dashes',
      })
      .doc("The model's name in every URL: metadata.name."),
    namespace: c.text({ max: 63 }).doc("The model's namespace."),
    revision: c
      .text({ max: 63, pattern: '^[a-z0-9][-a-z0-9]{0,62}$', name: 'a revision' })
      .doc("The model's version in every URL; on a cluster ten hex digits."),
    task: k.oneOf(taskNames).doc('The API of the endpoint.'),
    source: k.object(sourceFields).doc('Where the model comes from, and its files.'),
    embedding: k
      .object(embeddingFields)
      .doc('How text becomes a vector. Required with task Embedding, refused with other tasks.')
      .optional(),
    execution: k.object(executionFields).doc('How ONNX Runtime runs the model.'),
    batching: k.object(batchingFields).doc('How waiting requests are combined into one run.'),
    memory: k.object(memoryFields).doc('How much memory the runtime may use.'),
    warmup: k.object(warmupFields).doc('What a pod does before it becomes ready.'),
    golden: golden
      .doc(
        'What the sidecar runs before the revision gets traffic, frozen when the rollout began. ' +
          'Absent: no golden set.',
      )
      .optional(),
  }),
  ({ task, embedding }) => {
    if ((task === 'Embedding') === (embedding !== undefined)) return undefined;
    return {
      path: '.embedding',
      problem:
        embedding === undefined
          ? 'is required with task Embedding'
          : `is only allowed with task Embedding (task: ${task})`,
    };
  },
);

export type RuntimeConfig = Infer<typeof runtimeConfigSchema>;
export type SourceConfig = RuntimeConfig['source'];
export type EmbeddingConfig = NonNullable<RuntimeConfig['embedding']>;
export type ExecutionConfig = RuntimeConfig['execution'];
export type BatchingConfig = RuntimeConfig['batching'];
export type MemoryConfig = RuntimeConfig['memory'];
export type WarmupConfig = RuntimeConfig['warmup'];
export type GoldenConfig = Infer<typeof golden>;
export type Pooling = NonNullable<EmbeddingConfig['pooling']>;
export type GraphOptimization = ExecutionConfig['graphOptimization'];
