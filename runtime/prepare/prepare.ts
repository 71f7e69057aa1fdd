/**
 * Prepares a revision's model for serving: fetches, checks, inspects, runs and optimises it.
 *
 * Owns:  the order of these steps, and the manifest that results (prepared.ts). Only one `prepare` runs in a cache
 *        folder at a time. If a prepare is killed, the next one reuses the results of its completed steps.
 * Throws: AppErrors of the artifact group in api/error-codes.ts, and ENGINE_LOAD_FAILED.
 */
import { mkdir } from 'node:fs/promises';
import { availableParallelism, homedir } from 'node:os';
import { dirname, join, posix, resolve } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { maxLeftOut, type Resolved } from '../../api/last-words.ts';
import { modelIo } from '../../api/model-io.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { readKernelFile, readLimits } from '../config/cgroup.ts';
import { buildCache, type BuildResult } from './optimise/build-cache.ts';
import { buildKey } from './optimise/build-key.ts';
import { inspectModel } from '../onnx/inspect.ts';
import { leftOutOf, signatureHash, type ModelInfo } from '../onnx/model-info.ts';
import { acquire, type Acquired, type AcquireDeps } from './acquire.ts';
import { lockCache } from './cache/cache-lock.ts';
import { ModelCache } from './cache/cache.ts';
import { checkFits, chooseGraph } from './choose-graph.ts';
import { folderDigest } from './cache/digest.ts';
import { fetchGolden } from './fetch/fetch-golden.ts';
import type { HttpOptions } from './fetch/http-client.ts';
import { askNpm, type NpmMachine } from './fetch/npm-settings.ts';
import { openPart, type OpenPart } from './fetch/part-file.ts';
import { readPrepared, writePrepared, type Prepared } from './prepared.ts';
import { Progress } from './progress.ts';
import { defaultLimits, type SourceLimits } from './fetch/source.ts';
import { nativeEnvironmentOf } from '../config/native-environment.ts';
import { allocationsToMeasure, chooseAllocation, type AllocationChoice } from '../config/allocation.ts';
import { hasFreeShape } from '../engine/signature.ts';
import { fittingWorkers, planThreads } from '../engine/threads.ts';

export type PrepareDeps = {
  readonly cacheDir: string;
  /** Mount path of the volume claim of a pvc:// URI. */
  readonly sourceDir?: string;
  /** True if file:/// URIs are allowed. */
  readonly allowFile: boolean;
  /** The digests that the revision's first pod found; bytes with other digests are refused. */
  readonly resolved?: Resolved;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The fields below have defaults; tests set them. */
  readonly limits?: SourceLimits;
  /** Bytes that the cache may hold in addition to entries in use. */
  readonly maxCacheBytes?: number;
  /** Minimum bytes of weights for which an optimised form is built. */
  readonly optimiseFromBytes?: number;
  readonly http?: HttpOptions;
  readonly npm?: NpmMachine;
  readonly openPart?: OpenPart;
  readonly random?: () => number;
};

const defaultMaxCacheBytes = 16 * 2 ** 30;
/** Building the optimised form takes about a second. With fewer bytes of weights, sharing them saves less time. */
const defaultOptimiseFromBytes = 4 * 2 ** 20;

export async function prepare(config: RuntimeConfig, deps: PrepareDeps): Promise<Prepared> {
  const { logger, clock, signal } = deps;
  const cacheDir = resolve(deps.cacheDir);
  await mkdir(cacheDir, { recursive: true });
  const lock = await lockCache(cacheDir, { clock, logger, signal });
  try {
    const cache = await ModelCache.open(cacheDir, {
      maxBytes: deps.maxCacheBytes ?? defaultMaxCacheBytes,
      clock,
      logger,
    });
    const acquired = await acquireWithRoom(config, { cache, cacheDir, deps });
    const prepared = await makeReady(config, acquired, { cache, deps });
    const golden = await fetchGolden(config.golden, cacheDir, acquireDeps(cache, deps));
    if (!(await lock.held()))
      throw new AppError('SOURCE_UNAVAILABLE', {
        uri: acquired.uri,
        why: 'another prepare took over the cache folder while this one was suspended',
      });
    await writePrepared(cacheDir, prepared);
    await cache.evict([prepared.graphPath, prepared.root, ...(golden === undefined ? [] : [golden])]);
    return prepared;
  } finally {
    await lock.release();
  }
}

type Place = { readonly cache: ModelCache; readonly deps: PrepareDeps };

/** On a full disk, evicts unused entries and tries once more, resuming the download. */
async function acquireWithRoom(config: RuntimeConfig, place: Place & { readonly cacheDir: string }): Promise<Acquired> {
  const { cache, cacheDir, deps } = place;
  try {
    return await acquire(config.source, acquireDeps(cache, deps));
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'DISK_FULL') throw error;
    const before = await readPrepared(cacheDir).catch(() => undefined);
    const freed = await cache.evict(before === undefined ? [] : [before.graphPath, before.root], 0);
    if (freed === 0) throw error;
    deps.logger.warn('disk was full; trying again after emptying the cache', { freedBytes: freed });
    return await acquire(config.source, acquireDeps(cache, deps));
  }
}

function acquireDeps(cache: ModelCache, deps: PrepareDeps): AcquireDeps {
  const { logger, clock, signal } = deps;
  return {
    cache,
    sourceDir: deps.sourceDir,
    allowFile: deps.allowFile,
    resolvedDigest: deps.resolved?.digest,
    npm: deps.npm ?? npmMachine(),
    http: deps.http ?? {},
    fetch: {
      openPart: deps.openPart ?? openPart,
      limits: deps.limits ?? defaultLimits,
      random: deps.random ?? Math.random,
      progress: new Progress('reading model', { logger, clock }),
      clock,
      logger,
      signal,
    },
  };
}

async function makeReady(config: RuntimeConfig, acquired: Acquired, { cache, deps }: Place): Promise<Prepared> {
  const { logger } = deps;
  const { execution, memory } = config;
  logger.info('model fetched', { uri: acquired.uri, digest: acquired.digest, bytes: acquired.bytes });
  const graph = chooseGraph(acquired, execution.precision, config.source);
  const info = await inspectModel(join(acquired.root, graph), { name: graph, root: acquired.boundary });
  checkExternal(acquired, graph, info);
  const tokenizer = checkTokenizer(acquired, config);
  const limitBytes = smallest(memory.limitBytes, readLimits(readKernelFile).memoryBytes);
  checkFits(graph, info, memory.limitBytes);
  logger.info('model inspected', {
    graph,
    opset: info.opset,
    nodes: info.nodes,
    weightsBytes: info.weightsBytes,
    producer: info.producer.name,
  });
  const key = buildKey({ digest: acquired.digest, graph, execution, memory, limitBytes });
  const built = await buildCache({
    graphPath: join(acquired.root, graph),
    name: graph,
    info,
    execution,
    memory,
    ...(limitBytes === undefined ? {} : { limitBytes }),
    runsMs: config.warmup.timeoutMs,
    optimiseFromBytes: deps.optimiseFromBytes ?? defaultOptimiseFromBytes,
    folder: await cache.optimised(key),
    deps: { clock: deps.clock, signal: deps.signal, environment: engineEnvironment(), logger },
  });
  const allocation = allocationFor(config, info, built, limitBytes);
  const prepared = {
    ...describe(config, acquired, { graph, info, built }),
    allocation,
    ...(tokenizer === undefined ? {} : { tokenizerPath: join(acquired.root, tokenizer) }),
  };
  logger.info('model prepared', {
    provider: prepared.resolved.provider,
    optimised: prepared.optimised,
    memoryEstimateBytes: built.memoryEstimateBytes,
    notes: built.notes,
  });
  logger.info('memory settings chosen', { choice: allocation.because });
  return prepared;
}

function allocationFor(
  { execution, memory }: RuntimeConfig,
  info: ModelInfo,
  { allocation, memoryEstimateBytes }: BuildResult,
  limitBytes: number | undefined,
): AllocationChoice {
  const { cpuQuota } = readLimits(readKernelFile);
  const machine = { cpus: availableParallelism(), ...(cpuQuota === undefined ? {} : { quota: cpuQuota }) };
  const { workers } = planThreads(execution, machine);
  const [usual] = allocationsToMeasure(memory.arena, hasFreeShape(info));
  return chooseAllocation(usual, allocation, {
    workers: execution.workers ?? Math.min(workers, fittingWorkers(limitBytes, memoryEstimateBytes)),
    limitBytes,
  });
}

type Parts = { readonly graph: string; readonly info: ModelInfo; readonly built: BuildResult };

function describe(config: RuntimeConfig, acquired: Acquired, { graph, info, built }: Parts): Prepared {
  const leftOut = leftOutOf(info);
  return {
    schema: 1,
    revision: config.revision,
    resolved: {
      digest: acquired.digest,
      served: servedDigest(acquired, graph, info),
      bytes: acquired.bytes,
      signature: signatureHash(info),
      opset: info.opset,
      precision: config.execution.precision,
      provider: built.providerChain[0] ?? 'CPU',
      memoryEstimateBytes: built.memoryEstimateBytes,
      io: modelIo(info.inputs, info.outputs),
      ...(leftOut === '' ? {} : { leftOut: leftOut.slice(0, maxLeftOut) }),
    },
    info,
    graphPath: built.optimisedPath ?? join(acquired.root, graph),
    optimised: built.optimisedPath !== undefined,
    providerChain: built.providerChain,
    ...(Object.keys(built.sessionConfig).length === 0 ? {} : { sessionConfig: built.sessionConfig }),
    providers: built.providers,
    root: acquired.root,
    buildFolder: built.folder,
    files: [...acquired.files].sort((a, b) => (a.path < b.path ? -1 : 1)),
    notes: [...droppedOutputs(leftOut), ...built.notes],
  };
}

function droppedOutputs(leftOut: string): readonly string[] {
  return leftOut === ''
    ? []
    : [
        `outputs left out of answers because they are not tensors: ${leftOut}. To get them, export the model ` +
          'without the last step (for scikit-learn: zipmap=False)',
      ];
}

/**
 * The digest of the served model: its graph file and its external weights. The folder's digest is not enough, because a
 * folder may contain several models.
 */
function servedDigest({ files }: Acquired, graph: string, { externalFiles }: ModelInfo): string {
  const folder = posix.dirname(graph);
  const paths = new Set([graph, ...externalFiles.map(({ path }) => posix.join(folder === '.' ? '' : folder, path))]);
  const served = files.filter(({ path }) => paths.has(path));
  const [one] = served;
  return one !== undefined && served.length === 1 ? one.digest : folderDigest(served);
}

/**
 * Refuses a model with weights in a file that was not acquired: such a file has no digest, so it could change
 * unnoticed.
 */
function checkExternal(acquired: Acquired, graph: string, info: ModelInfo): void {
  const known = new Set(acquired.files.map((file) => file.path));
  const folder = dirname(graph);
  const loose = info.externalFiles.find((file) => !known.has(posix.join(folder === '.' ? '' : folder, file.path)));
  if (loose === undefined) return;
  const why = acquired.folder
    ? 'name it in spec.model.files'
    : 'use a URI of the folder that contains both; it ends with "/"';
  throw new AppError('MODEL_INVALID', {
    file: graph,
    problem: `its weights in '${loose.path}' are not part of the source: ${why}`,
  });
}

/** @returns the tokenizer's path inside the source, undefined when the task needs no tokenizer */
function checkTokenizer(acquired: Acquired, { embedding }: RuntimeConfig): string | undefined {
  if (embedding === undefined || acquired.files.some((file) => file.path === embedding.tokenizer))
    return embedding?.tokenizer;
  throw new AppError('SOURCE_MISSING', {
    uri: `${acquired.uri}${acquired.folder ? '' : '/'}${embedding.tokenizer}`,
    why: 'the tokenizer is not part of the source',
  });
}

function smallest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

/** This machine's npm configuration, as visible to this process. */
function npmMachine(): NpmMachine {
  // An npm installed with this Node.js uses Node's prefix; Debian's npm uses /usr, whichever Node.js runs this program.
  const prefixes = new Set([process.env['npm_config_prefix'] ?? dirname(dirname(process.execPath)), '/usr']);
  return {
    environment: process.env,
    cwd: process.cwd(),
    home: homedir(),
    globalFiles: [...prefixes].map((prefix) => join(prefix, 'etc', 'npmrc')),
    ask: askNpm,
  };
}

/** The environment of child processes that load ONNX Runtime. */
export function engineEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, ...nativeEnvironmentOf() };
}
