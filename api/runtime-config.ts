/**
 * The file the operator writes (a ConfigMap) and the runtime reads: everything a pod of one revision
 * has to know, with defaults filled in and units resolved.
 *
 * Owns:  the type. The operator builds it (operator/resources/runtime-config.ts); the runtime checks
 *        it on reading (runtime/config/revision-file.ts) because files are edited by hand, too.
 * Units: in the names. A field that is absent was not asked for.
 */

import type { TaskName } from './tasks.ts';

export type Precision = 'Source' | 'FP32' | 'FP16' | 'INT8' | 'INT4';
export type ProviderName = 'CPU' | 'CUDA' | 'TensorRT' | 'WebGPU';
export type FallbackPolicy = 'Forbid' | 'Warn' | 'Allow';
export type GraphOptimization = 'Disabled' | 'Basic' | 'Extended' | 'All';
export type Pooling = 'None' | 'Mean' | 'Cls' | 'Last';

export type EmbeddingConfig = {
  /** Path of tokenizer.json inside the source; tokenizer_config.json is looked for beside it. */
  readonly tokenizer: string;
  /** Name of the output tensor; absent: `sentence_embedding` if there is one, else the first output. */
  readonly output?: string;
  /**
   * How [batch, sequence, hidden] becomes [batch, hidden]; None wants an output that is pooled already. Absent: by the
   * output's rank.
   */
  readonly pooling?: Pooling;
  /** Whether vectors are scaled to L2 norm 1. */
  readonly normalize: boolean;
  /** Tokens of one text, special ones included. Absent: what the model's files say, else 512. */
  readonly maxTokens?: number;
  readonly onTooLong: 'Truncate' | 'Refuse';
};

export type SourceConfig = {
  readonly uri: string;
  /** `sha256:<64 hex>`; of a folder: SHA-256 of its sorted lines `sha256  path`. */
  readonly digest?: string;
  readonly files?: readonly { readonly path: string; readonly digest: string }[];
  readonly variants: readonly { readonly precision: Precision; readonly path: string }[];
  /** The graph to serve, a path inside a folder source. Absent: `model.onnx`, or the file itself. */
  readonly graphPath?: string;
};

export type ExecutionConfig = {
  readonly providers: readonly { readonly name: ProviderName; readonly options: Readonly<Record<string, string>> }[];
  readonly fallbackPolicy: FallbackPolicy;
  readonly precision: Precision;
  readonly graphOptimization: GraphOptimization;
  readonly profile: 'Throughput' | 'Latency';
  /** Absent: decided by the runtime from the profile and the cgroup's CPU limit. */
  readonly workers?: number;
  readonly threadsPerWorker?: number;
  /** ONNX Runtime session config entries, e.g. `session.set_denormal_as_zero: "1"`. */
  readonly sessionConfig: Readonly<Record<string, string>>;
};

export type BatchingConfig = {
  /** Rows of the first dimension in one run, 1 to 1024. 1: no batching. */
  readonly maxBatchSize: number;
  /** How long a request may wait for company. 0: never waits, batches only what is queued already. */
  readonly maxQueueDelayMs: number;
  /** Requests that wait; one more is refused with 429. */
  readonly maxQueueDepth: number;
};

export type MemoryConfig = {
  /** The container's limit in bytes; absent: none was asked for, the cgroup's is used if there is one. */
  readonly limitBytes?: number;
  /** ONNX Runtime's arena. Auto: off when a model's inputs have a free dimension other than the batch, else on. */
  readonly arena: 'Auto' | 'On' | 'Off';
};

export type WarmupConfig = {
  /** Requests run before the pod is ready. */
  readonly requests: number;
  readonly timeoutMs: number;
};

export type GoldenMetric = 'MaxAbsError' | 'Cosine' | 'Top1Agreement' | 'ExactMatch' | 'WordErrorRate' | 'Accuracy';

/** The golden set that the sidecar runs before the revision gets traffic, as frozen when the revision was made. */
export type GoldenConfig = {
  /** Digest over everything below and the set's bytes: a report names what it ran by it. */
  readonly id: string;
  readonly metric: GoldenMetric;
  /** Score at least, for metrics that are better when higher. */
  readonly min?: number;
  /** Score at most, for errors. */
  readonly max?: number;
  /**
   * Where the cases are. File: a key of the revision's own ConfigMap. Uri: fetched by `prepare`, with its digest.
   * Generated: from the model's I/O signature with a fixed seed; stable's answers are the truth, and without a stable
   * revision only finite numbers are asked for.
   */
  readonly source:
    | { readonly kind: 'File'; readonly file: string }
    | { readonly kind: 'Uri'; readonly uri: string; readonly digest: string }
    | { readonly kind: 'Generated'; readonly seed: number; readonly cases: number };
};

export type RuntimeConfig = {
  readonly schema: 1;
  /** metadata.name: the model's name in every URL. */
  readonly name: string;
  readonly namespace: string;
  /** Ten hex digits; the model's version in every URL. */
  readonly revision: string;
  readonly task: TaskName;
  readonly source: SourceConfig;
  /** Present when and only when the task is Embedding. */
  readonly embedding?: EmbeddingConfig;
  readonly execution: ExecutionConfig;
  readonly batching: BatchingConfig;
  readonly memory: MemoryConfig;
  readonly warmup: WarmupConfig;
  readonly golden?: GoldenConfig;
};
