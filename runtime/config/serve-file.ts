/**
 * What a person may write for `serve --config FILE`, and the whole config that it becomes.
 *
 * Owns:  the reading of an OnnxModel's words (a manifest, its spec, or parts of it) and of a RuntimeConfig's:
 *        both spell the same things, the one in durations and quantities, the other in numbers.
 * Pure.  Defaults are api/defaults.ts', so that what was tried here is what a cluster does.
 */
import { bounds } from '../../api/bounds.ts';
import { withDefaults } from '../../api/defaults.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { parseQuantity } from '../../api/quantities.ts';
import { parseDurationMs } from '../../api/units.ts';
import { list, object, optional, text, wrong, type Check, type Optional } from './checkers.ts';
import {
  batchingFields,
  checkRuntimeConfig,
  digest,
  embeddingFields,
  executionFields,
  memoryFields,
  path,
  providerName,
  providerOptions,
  sourceFields,
  task,
  uri,
  warmupFields,
} from './revision-file.ts';

type Loose<S> = {
  readonly [K in keyof S]: S[K] extends Optional<infer T>
    ? Optional<T>
    : S[K] extends Check<infer T>
      ? Optional<T>
      : never;
};

/** The same fields, each of which may be left out. */
function loose<S extends Readonly<Record<string, Check<unknown> | Optional<unknown>>>>(fields: S): Loose<S> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, typeof field === 'function' ? optional(field) : field]),
  ) as Loose<S>;
}

const duration: Check<number> = (value, where) => {
  const ms = typeof value === 'string' ? parseDurationMs(value) : undefined;
  if (ms === undefined) throw wrong(where, `${JSON.stringify(value)} is not a duration such as 200ms or 15m`);
  return ms;
};

const bytes: Check<number> = (value, where) => {
  const amount = typeof value === 'string' || typeof value === 'number' ? parseQuantity(value) : undefined;
  if (amount === undefined || amount < 1)
    throw wrong(where, `${JSON.stringify(value)} is not an amount of memory such as 512Mi or 2Gi`);
  return Math.floor(amount);
};

const embedding = object(loose(embeddingFields));
const providers = list(object({ name: providerName, options: optional(providerOptions, {}) }), bounds.providers);

const spec = object({
  model: optional(
    object({
      uri: optional(uri),
      digest: optional(digest),
      files: sourceFields.files,
      variants: optional(sourceFields.variants),
      graphs: optional(list(object({ name: text(), path }), bounds.graphs)),
      task: optional(task),
      embedding: optional(embedding),
    }),
  ),
  task: optional(task),
  source: optional(object(loose({ uri, ...sourceFields }))),
  embedding: optional(embedding),
  execution: optional(object({ ...loose(executionFields), providers: optional(providers) })),
  batching: optional(object({ ...loose(batchingFields), maxQueueDelay: optional(duration) })),
  memory: optional(object({ ...loose(memoryFields), limit: optional(bytes) })),
  warmup: optional(object({ ...loose(warmupFields), timeout: optional(duration) })),
});

/** What only means something on a cluster; a manifest may have it and is served all the same. */
const clusterOnly = new Set([
  'replicas',
  'rollout',
  'resources',
  'template',
  'runtime',
  'autoscaling',
  'traffic',
  'revisionHistoryLimit',
]);

/**
 * @param value the parsed file
 * @param where its name, for messages
 * @param given what the command line says
 * @throws AppError BAD_CONFIG naming the first field at fault
 */
export function completeConfig(
  value: unknown,
  where: string,
  given: { readonly uri: string; readonly name: string },
): RuntimeConfig {
  const parts = spec(specOf(value ?? {}), `${where}:`);
  const defaults = withDefaults({ model: { uri: given.uri } }, '');
  const { limit, ...memory } = parts.memory ?? {};
  return checkRuntimeConfig(
    withoutGaps({
      schema: 1,
      name: given.name,
      namespace: 'default',
      revision: '1',
      ...modelOf(parts, given.uri),
      execution: { ...defaults.execution, ...parts.execution },
      batching: batchingOf(parts.batching ?? {}, defaults),
      memory: { ...defaults.memory, limitBytes: limit, ...memory },
      warmup: warmupOf(parts.warmup ?? {}, defaults),
    }),
    where,
  );
}

type Parts = ReturnType<typeof spec>;
type Defaults = ReturnType<typeof withDefaults>;

/** Task, source and embedding. Whoever says how text becomes a vector wants the task Embedding. */
function modelOf(parts: Parts, uri: string): object {
  const { uri: _, graphs, task: specTask, embedding: specEmbedding, ...model } = parts.model ?? {};
  const vectors = specEmbedding ?? parts.embedding;
  const asked = specTask ?? parts.task ?? (vectors === undefined ? 'Tensor' : 'Embedding');
  const filled =
    asked === 'Embedding' ? withDefaults({ model: { uri, task: asked, embedding: {} } }, '').embedding : undefined;
  return {
    task: asked,
    source: { variants: [], graphPath: graphs?.[0]?.path, ...model, ...parts.source, uri },
    embedding: filled === undefined ? vectors : { ...filled, ...vectors },
  };
}

function batchingOf({ maxQueueDelay, ...given }: NonNullable<Parts['batching']>, { batching }: Defaults): object {
  return {
    maxBatchSize: batching.maxBatchSize,
    maxQueueDelayMs: maxQueueDelay ?? parseDurationMs(batching.maxQueueDelay),
    maxQueueDepth: batching.maxQueueDepth,
    ...given,
  };
}

function warmupOf({ timeout, ...given }: NonNullable<Parts['warmup']>, { warmup }: Defaults): object {
  return { requests: warmup.requests, timeoutMs: timeout ?? parseDurationMs(warmup.timeout), ...given };
}

/** A whole manifest stands for its spec, without what only a cluster can do. */
function specOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('kind' in value || 'spec' in value)) return value;
  const found = (value as { readonly spec?: unknown }).spec;
  if (typeof found !== 'object' || found === null) return found ?? {};
  return Object.fromEntries(Object.entries(found).filter(([name]) => !clusterOnly.has(name)));
}

function withoutGaps(record: object): object {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      typeof value === 'object' && !Array.isArray(value) && value !== null
        ? withoutGaps(value as object)
        : (value as unknown),
    ]),
  );
}
