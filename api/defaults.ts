/**
 * Defaults of absent fields. Pure and idempotent.
 *
 * Terms: The hashed part of the spec is the fields that make a revision. Gates judge a new revision: the golden gate by
 *        test inputs before it gets traffic, the others under traffic.
 * Owns: every default of the hashed part of the spec, of spec.replicas and of spec.rollout, except the default gates
 *       under traffic (operator/analysis/plan.ts). Defaults of the hashed part are filled in when a revision is made,
 *       and are kept in its ControllerRevision. An upgrade of the operator that changes such a default therefore does
 *       not start a rollout.
 */
import type { OnnxModelSpec, RevisionSpec } from './onnxmodel.ts';
import type { BatchingConfig, EmbeddingConfig, ExecutionConfig, MemoryConfig, WarmupConfig } from './runtime-config.ts';
import type { TaskName } from './tasks.ts';

/** The hashed part of the spec, with all defaults. Durations and quantities are text, as in the API. */
export type FrozenSpec = {
  readonly model: RevisionSpec['model'] & { readonly task: TaskName };
  readonly embedding?: EmbeddingConfig;
  readonly execution: ExecutionConfig;
  readonly batching: Omit<BatchingConfig, 'maxQueueDelayMs'> & { readonly maxQueueDelay: string };
  readonly memory: Omit<MemoryConfig, 'limitBytes'> & { readonly limit?: string };
  readonly resources: NonNullable<RevisionSpec['resources']>;
  readonly warmup: Omit<WarmupConfig, 'timeoutMs'> & { readonly timeout: string };
  readonly runtime: {
    readonly image: string;
    readonly sidecar?: NonNullable<NonNullable<RevisionSpec['runtime']>['sidecar']>;
  };
  readonly template: NonNullable<RevisionSpec['template']>;
};

/**
 * A field that is undefined here does not have a fixed default: the model's files decide its value when the model is
 * loaded.
 */
const embeddingDefaults = {
  tokenizer: 'tokenizer.json',
  pooling: undefined,
  normalize: true,
  maxTokens: undefined,
  onTooLong: 'Truncate',
} as const;

function embeddingOf(given: Partial<EmbeddingConfig> = {}): EmbeddingConfig {
  return Object.fromEntries(
    Object.entries({ ...embeddingDefaults, ...given }).filter(([, value]) => value !== undefined),
  ) as EmbeddingConfig;
}

/** @param defaultImage the runtime image of the operator that makes the revision */
export function withDefaults(spec: RevisionSpec, defaultImage: string): FrozenSpec {
  const { embedding, task = 'Tensor', ...model } = spec.model;
  return {
    model: { schemaPolicy: 'Compatible', ...model, task },
    ...(task === 'Embedding' ? { embedding: embeddingOf(embedding) } : {}),
    execution: executionDefaults(spec.execution ?? {}),
    batching: { maxQueueDelay: '0ms', maxQueueDepth: 256, ...spec.batching },
    memory: memoryDefaults(spec.memory ?? {}),
    resources: spec.resources ?? {},
    warmup: { requests: 5, timeout: '5m', ...spec.warmup },
    runtime: { ...spec.runtime, image: spec.runtime?.image ?? defaultImage },
    template: spec.template ?? {},
  };
}

/** Writes the limit as text, so that 1024 and "1024" give the same FrozenSpec. */
function memoryDefaults({ limit, ...memory }: NonNullable<RevisionSpec['memory']>): FrozenSpec['memory'] {
  return { arena: 'Auto', ...memory, ...(limit === undefined ? {} : { limit: String(limit) }) };
}

function executionDefaults(execution: NonNullable<RevisionSpec['execution']>): FrozenSpec['execution'] {
  const { providers = [{ name: 'CPU' as const }], ...rest } = execution;
  return {
    fallbackPolicy: 'Forbid',
    precision: 'Source',
    graphOptimization: 'All',
    profile: 'Throughput',
    sessionConfig: {},
    ...rest,
    providers: providers.map(({ name, options = {} }) => ({ name, options })),
  };
}

/** Defaults of `spec.replicas` and of the fields of `spec.rollout`. They are not part of a revision. */
export const rolloutDefaults = {
  replicas: 1,
  strategy: 'Immediate',
  progressDeadline: '30m',
  /** The steps of strategy Canary. */
  steps: [
    { weight: 5 },
    { analyze: { require: 'NoFail' } },
    { weight: 50 },
    { analyze: { require: 'Pass' } },
    { weight: 100 },
  ],
  /** The maximum duration of an analyze or shadow step. */
  maxDuration: '30m',
  /** The share of stable's requests that a shadow step copies to the candidate. */
  shadowShare: '10%',
  probes: { mode: 'Auto', perMinute: 60 },
  onUndecided: 'Hold',
  capacityMode: 'Surge',
  /** Stable keeps all its pods during a rollout, so that it can take back all traffic at once. */
  maxSurge: '100%',
  retainStable: { Canary: '5m', BlueGreen: '5m', Immediate: '0s' },
} as const satisfies {
  readonly steps: NonNullable<NonNullable<OnnxModelSpec['rollout']>['steps']>;
  readonly [field: string]: unknown;
};

/**
 * The golden gate when spec.rollout.gates.golden is absent: the answers to generated inputs are compared with stable's
 * answers.
 */
export const generatedGolden = { metric: 'Cosine', min: 0.9, seed: 20, cases: 16 } as const;
