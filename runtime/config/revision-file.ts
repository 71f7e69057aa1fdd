/**
 * Reads the config of one revision (api/runtime-config.ts) and trusts none of it.
 *
 * Owns:  which values each field may have. The operator's file has every field: one that is missing is an error.
 *        What a person writes for `serve` is in serve-file.ts.
 * Pure.
 */
import { bounds } from '../../api/bounds.ts';
import type {
  BatchingConfig,
  EmbeddingConfig,
  ExecutionConfig,
  GoldenConfig,
  MemoryConfig,
  RuntimeConfig,
  SourceConfig,
  WarmupConfig,
} from '../../api/runtime-config.ts';
import { taskNames } from '../../api/tasks.ts';
import { flag, integer, list, number, object, oneOf, optional, text, textMap, wrong, type Check } from './checkers.ts';

export const digest = text({ pattern: /^sha256:[0-9a-f]{64}$/, what: 'digest: sha256: and 64 hex digits' });
export const precision = oneOf('Source', 'FP32', 'FP16', 'INT8', 'INT4');
export const task = oneOf(...taskNames);
const spanMs = integer(bounds.waitMs);
export const uri = text({ length: bounds.uri });
export const path = text({ length: { min: 1, ...bounds.path } });

export const sourceFields = {
  digest: optional(digest),
  files: optional(list(object({ path, digest }), bounds.files)),
  variants: list(object({ precision, path }), bounds.variants),
  graphPath: optional(path),
};

export const embeddingFields = {
  tokenizer: path,
  output: optional(text({ length: bounds.outputName })),
  pooling: optional(oneOf('None', 'Mean', 'Cls', 'Last')),
  normalize: flag,
  maxTokens: optional(integer(bounds.maxTokens)),
  onTooLong: oneOf('Truncate', 'Refuse'),
};

export const providerName = oneOf('CPU', 'CUDA', 'TensorRT', 'WebGPU');
export const providerOptions = textMap(bounds.providerOptions, bounds.optionValue);

export const executionFields = {
  providers: list(object({ name: providerName, options: providerOptions }), bounds.providers),
  fallbackPolicy: oneOf('Forbid', 'Warn', 'Allow'),
  precision,
  graphOptimization: oneOf('Disabled', 'Basic', 'Extended', 'All'),
  profile: oneOf('Throughput', 'Latency'),
  workers: optional(integer(bounds.workers)),
  threadsPerWorker: optional(integer(bounds.threadsPerWorker)),
  sessionConfig: textMap(bounds.sessionConfig, bounds.optionValue),
};

export const batchingFields = {
  maxBatchSize: integer(bounds.maxBatchSize),
  maxQueueDelayMs: spanMs,
  maxQueueDepth: integer(bounds.maxQueueDepth),
};

export const memoryFields = {
  limitBytes: optional(integer(bounds.memoryLimitBytes)),
  arena: oneOf('Auto', 'On', 'Off'),
};
export const warmupFields = { requests: integer(bounds.warmupRequests), timeoutMs: spanMs };

const source: Check<SourceConfig> = object({ uri, ...sourceFields });
const embedding: Check<EmbeddingConfig> = object(embeddingFields);
const execution: Check<ExecutionConfig> = object(executionFields);
const batching: Check<BatchingConfig> = object(batchingFields);
const memory: Check<MemoryConfig> = object(memoryFields);
const warmup: Check<WarmupConfig> = object(warmupFields);

/** A key of the mounted ConfigMap; what is found there is read, so no path may lead elsewhere. */
const mountedFile = text({ pattern: /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$/, what: 'name of a file beside the config' });
const goldenSources: {
  readonly [K in GoldenConfig['source']['kind']]: Check<Extract<GoldenConfig['source'], { kind: K }>>;
} = {
  File: object({ kind: oneOf('File'), file: mountedFile }),
  Uri: object({ kind: oneOf('Uri'), uri, digest }),
  Generated: object({
    kind: oneOf('Generated'),
    seed: integer({ max: 2 ** 31 - 1 }),
    cases: integer({ min: 1, max: 1000 }),
  }),
};
const goldenSource: Check<GoldenConfig['source']> = (value, where) => {
  const kind = oneOf('File', 'Uri', 'Generated')((value as { readonly kind?: unknown } | null)?.kind, `${where}.kind`);
  return goldenSources[kind](value, where);
};
const golden: Check<GoldenConfig> = object({
  id: text({ length: { max: 128 } }),
  metric: oneOf('MaxAbsError', 'Cosine', 'Top1Agreement', 'ExactMatch', 'WordErrorRate', 'Accuracy'),
  min: optional(number(-1, 1)),
  max: optional(number(0, Number.MAX_VALUE)),
  source: goldenSource,
});

const config: Check<RuntimeConfig> = object({
  schema: oneOf(1),
  name: text({
    pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
    what: 'name: lower-case letters, digits and dashes',
    length: { max: 40 },
  }),
  namespace: text({ length: { max: 63 } }),
  revision: text({ pattern: /^[a-z0-9][-a-z0-9]{0,62}$/, what: 'revision' }),
  task,
  source,
  embedding: optional(embedding),
  execution,
  batching,
  memory,
  warmup,
  golden: optional(golden),
});

/**
 * @param where what is being read, for messages, e.g. "runtime.json"
 * @throws AppError BAD_CONFIG naming the first field at fault
 */
export function checkRuntimeConfig(value: unknown, where: string): RuntimeConfig {
  const checked = config(value, `${where}:`);
  if ((checked.task === 'Embedding') !== (checked.embedding !== undefined)) {
    throw wrong(
      `${where}: embedding`,
      checked.embedding === undefined
        ? 'is missing: the task is Embedding'
        : `only goes with task Embedding, the task is ${checked.task}`,
    );
  }
  return checked;
}
