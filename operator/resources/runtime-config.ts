/**
 * The runtime's config file of one revision: the spec with the defaults of its creation, with durations in ms and
 * quantities in bytes.
 *
 * Pure. The reader is runtime/config/command-line.ts; the contract is api/runtime-config.ts.
 */
import type { FrozenSpec } from '../../api/defaults.ts';
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
    source: {
      uri,
      ...(digest === undefined ? {} : { digest }),
      ...(files === undefined ? {} : { files }),
      variants: inOrder(variants),
      ...(graphPath === undefined ? {} : { graphPath }),
    },
    ...(spec.embedding === undefined ? {} : { embedding: inOrder(spec.embedding) }),
    execution: inOrder(spec.execution),
    batching: batchingOf(spec.batching),
    memory: memoryOf(spec.memory),
    warmup: warmupOf(spec.warmup),
    ...(record.golden === undefined ? {} : { golden: record.golden.config }),
  };
}

/**
 * Sorts the fields by name. The API server returns a ControllerRevision with sorted fields, and the file must have the
 * same text before and after the spec was stored in a ControllerRevision.
 */
function inOrder<T>(value: T): T {
  if (Array.isArray(value)) return value.map(inOrder) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, inOrder(inner as unknown)]),
  ) as T;
}

function batchingOf({ maxQueueDelay, ...same }: FrozenSpec['batching']): RuntimeConfig['batching'] {
  return inOrder({ ...same, maxQueueDelayMs: milliseconds(maxQueueDelay) });
}

function memoryOf({ limit, ...same }: FrozenSpec['memory']): RuntimeConfig['memory'] {
  const bytes = limit === undefined ? undefined : parseQuantity(limit);
  return inOrder({ ...same, ...(bytes === undefined ? {} : { limitBytes: Math.floor(bytes) }) });
}

function warmupOf({ timeout, ...same }: FrozenSpec['warmup']): RuntimeConfig['warmup'] {
  return inOrder({ ...same, timeoutMs: milliseconds(timeout) });
}

/** Throws only for a bug: the CRD's pattern accepts only durations. */
function milliseconds(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new Error(`not a duration: ${text}`);
  return ms;
}
