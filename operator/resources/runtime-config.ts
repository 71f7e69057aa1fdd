/**
 * The runtime's config file of one revision: the frozen spec with units resolved.
 *
 * Pure. The reader is runtime/config.ts; the contract is api/runtime-config.ts.
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { parseQuantity } from '../../api/quantities.ts';
import { parseDurationMs } from '../../api/units.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { RevisionRecord } from './objects.ts';

export function runtimeConfig(model: OnnxModel, record: RevisionRecord): RuntimeConfig {
  const { spec, revision } = record;
  const { uri, digest, files, variants = [], graphs } = spec.model;
  const graphPath = graphs?.[0]?.path;
  return {
    schema: 1,
    name: model.metadata.name,
    namespace: model.metadata.namespace,
    revision,
    task: spec.model.task,
    source: { uri, ...(digest === undefined ? {} : { digest }), ...(files === undefined ? {} : { files }), variants, ...(graphPath === undefined ? {} : { graphPath }) },
    ...(spec.embedding === undefined ? {} : { embedding: spec.embedding }),
    execution: spec.execution,
    batching: {
      maxBatchSize: spec.batching.maxBatchSize,
      maxQueueDelayMs: milliseconds(spec.batching.maxQueueDelay),
      maxQueueDepth: spec.batching.maxQueueDepth,
    },
    memory: { arena: spec.memory.arena, ...limit(spec.memory.limit) },
    warmup: { requests: spec.warmup.requests, timeoutMs: milliseconds(spec.warmup.timeout) },
    ...(record.golden === undefined ? {} : { golden: record.golden.config }),
  };
}

function limit(text: string | undefined): { limitBytes?: number } {
  const bytes = text === undefined ? undefined : parseQuantity(text);
  return bytes === undefined ? {} : { limitBytes: Math.floor(bytes) };
}

/** The CRD's pattern has let only durations in. */
function milliseconds(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new Error(`not a duration: ${text}`);
  return ms;
}
