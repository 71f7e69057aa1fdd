/**
 * Reads the file of `serve --config FILE` and adds defaults, which gives a complete RuntimeConfig. Pure.
 *
 * Owns: the format: a manifest of an OnnxModel, its spec, a RuntimeConfig, or parts of them. Times and amounts may be
 *       text, as in a spec, or numbers, as in a RuntimeConfig. The defaults are the same as in a cluster
 *       (api/defaults.ts).
 */
import { bounds } from '../../api/bounds.ts';
import { withDefaults } from '../../api/defaults.ts';
import {
  batchingFields,
  embeddingFields,
  executionFields,
  memoryFields,
  sourceFields,
  warmupFields,
  type RuntimeConfig,
} from '../../api/runtime-config.ts';
import { parseQuantity, quantityPattern } from '../../api/quantities.ts';
import { k, type Infer } from '../../api/schema/builder.ts';
import { c } from '../../api/schema/contract.ts';
import { providerSpec } from '../../api/schema/revision.ts';
import { taskNames } from '../../api/tasks.ts';
import { durationPattern, parseDurationMs } from '../../api/units.ts';
import { checkRuntimeConfig, fileReader } from './revision-file.ts';

const task = k.oneOf(taskNames).optional();
const embedding = k.object(c.loose(embeddingFields)).optional();
const duration = c.text({ max: 32, pattern: durationPattern, name: 'a duration such as 200ms or 15m' }).optional();
const amount = c
  .named(k.intOrString(quantityPattern, { max: 64 }), 'an amount of memory such as 512Mi or 2Gi')
  .optional();
const { graphPath: _path, ...modelFields } = sourceFields;
const providers = k.list(k.object(providerSpec), bounds.providers).optional();

/** The fields of an OnnxModel's spec and of a RuntimeConfig, all optional. */
const partsSchema = k.object({
  model: k
    .object({
      ...c.loose(modelFields),
      graphs: k
        .list(k.object({ name: c.text({ max: 4096 }), path: sourceFields.graphPath.required() }), bounds.graphs)
        .optional(),
      task,
      embedding,
    })
    .optional(),
  task,
  source: k.object(c.loose(sourceFields)).optional(),
  embedding,
  execution: k.object({ ...c.loose(executionFields), providers }).optional(),
  batching: k.object({ ...c.loose(batchingFields), maxQueueDelay: duration }).optional(),
  memory: k.object({ ...c.loose(memoryFields), limit: amount }).optional(),
  warmup: k.object({ ...c.loose(warmupFields), timeout: duration }).optional(),
});
const readParts = fileReader(partsSchema);

/** Fields of a manifest that `serve` ignores, because they only apply to a cluster. */
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
 * @param where the file's name, for messages
 * @param given URI and name from the command line
 * @throws AppError BAD_CONFIG with the first invalid field
 */
export function completeConfig(
  value: unknown,
  where: string,
  given: { readonly uri: string; readonly name: string },
): RuntimeConfig {
  const parts = readParts(specOf(value ?? {}), where);
  const defaults = withDefaults({ model: { uri: given.uri } }, '');
  return checkRuntimeConfig(
    withoutGaps({
      schema: 1,
      name: given.name,
      namespace: 'default',
      revision: '1',
      ...modelOf(parts, given.uri),
      execution: executionOf(parts.execution ?? {}, defaults),
      batching: batchingOf(parts.batching ?? {}, defaults),
      memory: memoryOf(parts.memory ?? {}, defaults),
      warmup: warmupOf(parts.warmup ?? {}, defaults),
    }),
    where,
  );
}

type Parts = Infer<typeof partsSchema>;
type Defaults = ReturnType<typeof withDefaults>;

/**
 * The RuntimeConfig's task, source and embedding. A file with `embedding` and without `task` has the task Embedding.
 */
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

function executionOf({ providers, ...given }: NonNullable<Parts['execution']>, { execution }: Defaults): object {
  return {
    ...execution,
    ...given,
    ...(providers === undefined ? {} : { providers: providers.map(({ name, options = {} }) => ({ name, options })) }),
  };
}

function memoryOf({ limit, ...given }: NonNullable<Parts['memory']>, { memory }: Defaults): object {
  const bytes = limit === undefined ? undefined : parseQuantity(limit);
  return { ...memory, limitBytes: bytes === undefined ? undefined : Math.floor(bytes), ...given };
}

function batchingOf({ maxQueueDelay, ...given }: NonNullable<Parts['batching']>, { batching }: Defaults): object {
  return {
    maxQueueDelayMs: parseDurationMs(maxQueueDelay ?? batching.maxQueueDelay),
    maxQueueDepth: batching.maxQueueDepth,
    ...given,
  };
}

function warmupOf({ timeout, ...given }: NonNullable<Parts['warmup']>, { warmup }: Defaults): object {
  return { requests: warmup.requests, timeoutMs: parseDurationMs(timeout ?? warmup.timeout), ...given };
}

/** Returns the spec of a manifest, without `clusterOnly` fields. Any other value is returned unchanged. */
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
