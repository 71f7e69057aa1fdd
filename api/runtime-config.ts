/**
 * The file the operator writes (a ConfigMap) and the runtime reads: everything a pod of one revision
 * has to know, with defaults filled in and units resolved.
 *
 * Owns:  the schema, from which the types, the check (runtime/config/revision-file.ts) and
 *        docs/reference/runtime-config.md are made. Fields that the spec spells alike are the spec's own
 *        (api/schema/revision.ts), with their bounds.
 * Units: in the names. A field that is absent was not asked for.
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

/** The fields of each part. What a person writes for `serve` (runtime/config/serve-file.ts) has them, too. */
export const sourceFields = {
  uri: uri().doc('Where the model is: one file, or a folder when the URI ends with "/".'),
  digest: digest()
    .doc('SHA-256 that the source must have; of a folder, SHA-256 of its sorted lines "sha256  path". Absent: any.')
    .optional(),
  files: k
    .list(
      k.object({
        path: path().doc('Relative path of the file in the folder.'),
        digest: digest().doc('SHA-256 that the file must have.'),
      }),
      bounds.files,
    )
    .doc('What the folder holds. Absent: all of its files.')
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
    .doc('The graph to serve, a path inside a folder source. Absent: model.onnx, or the file itself.')
    .optional(),
};

export const embeddingFields = {
  ...c.filled(spec.embeddingSpec, ['output', 'pooling', 'maxTokens']),
  tokenizer: path().doc('Path of tokenizer.json inside the source; tokenizer_config.json is looked for beside it.'),
};

export const executionFields = {
  ...c.filled(spec.executionSpec, ['workers', 'threadsPerWorker']),
  providers: k
    .list(k.object(c.filled(spec.providerSpec)), bounds.providers)
    .doc('Execution providers in order of preference.'),
};

const { maxQueueDelay: _delay, ...sharedBatching } = spec.batchingSpec;
export const batchingFields = {
  ...c.filled(sharedBatching),
  maxQueueDelayMs: milliseconds().doc(
    'How long a request may wait for others to be combined with. 0: only requests that are waiting anyway are ' +
      'combined.',
  ),
};

const { limit: _limit, ...sharedMemory } = spec.memorySpec;
export const memoryFields = {
  ...c.filled(sharedMemory),
  limitBytes: k
    .integer({ ...bounds.memoryLimitBytes, format: 'int64' })
    .doc("The container's limit in bytes. Absent: none was asked for; the cgroup's is used if there is one.")
    .optional(),
};

const { timeout: _timeout, ...sharedWarmup } = spec.warmupSpec;
export const warmupFields = {
  ...c.filled(sharedWarmup),
  timeoutMs: milliseconds().doc('How long the warm-up may take. A pod whose warm-up takes longer fails.'),
};

const goldenSource = c.variants({
  File: {
    // What is found there is read, so no path may lead elsewhere.
    file: c
      .text({ max: 253, pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$', name: 'the name of a file beside the config' })
      .doc("The key of the set in the revision's own ConfigMap."),
  },
  Uri: {
    uri: uri().doc('One file with the set, which `prepare` fetches.'),
    digest: digest().doc('SHA-256 that the file must have.'),
  },
  Generated: {
    seed: k
      .integer({ min: 0, max: 2 ** 31 - 1 })
      .doc('What the generated inputs depend on: the same seed gives the same inputs.'),
    cases: k.integer({ min: 1, max: 1000 }).doc('How many inputs are generated.'),
  },
});

const golden = k.object({
  id: c
    .text({ max: 128 })
    .doc("Digest over everything below and the set's bytes. A report names by it which set was run."),
  metric: k.oneOf(goldenMetricNames).doc('How an answer is compared with the right one.'),
  min: c
    .number({ min: -1, max: 1 })
    .doc('Lowest score that passes, for metrics that are better when higher. Absent: there is a max.')
    .optional(),
  max: c
    .number({ min: 0, max: Number.MAX_VALUE })
    .doc('Highest error that passes, for metrics that are better when lower. Absent: there is a min.')
    .optional(),
  source: goldenSource.doc(
    "Where the cases are. Generated: inputs are made from the model's I/O signature, and stable's answers are the " +
      'right ones; without a stable revision only finite numbers are asked for.',
  ),
});

/** The whole file. */
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
    task: k.oneOf(taskNames).doc('Which API the endpoint has.'),
    source: k.object(sourceFields).doc('What is served.'),
    embedding: k
      .object(embeddingFields)
      .doc('How text becomes a vector. Present with task Embedding; absent with any other.')
      .optional(),
    execution: k.object(executionFields).doc('How ONNX Runtime runs the model.'),
    batching: k.object(batchingFields).doc('How waiting requests are combined into one run.'),
    memory: k.object(memoryFields).doc('How much memory the runtime may use.'),
    warmup: k.object(warmupFields).doc('What a pod does before it becomes ready.'),
    golden: golden
      .doc(
        'What the sidecar runs before the revision gets traffic, as frozen when the revision was made. Absent: no ' +
          'golden set.',
      )
      .optional(),
  }),
  ({ task, embedding }) => {
    if ((task === 'Embedding') === (embedding !== undefined)) return undefined;
    return {
      path: '.embedding',
      problem:
        embedding === undefined
          ? 'is missing: the task is Embedding'
          : `is only for task Embedding; the task is ${task}`,
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
