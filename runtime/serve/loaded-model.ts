/**
 * The parts that serve one prepared model: engine, batcher, codec, task.
 *
 * Owns: their construction, warm-up and release. close() waits for current runs.
 * Terms: a run is one call of ONNX Runtime by a worker, for the rows of one or more requests. A row is everything at
 *       one index of the first dimension of the inputs. `prepare` is the container that fetched and tried the model.
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { formatBytes } from '../../api/units.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Prepared } from '../prepare/prepared.ts';
import type { RowsVerdict } from '../onnx/model-info.ts';
import { Batcher } from '../batching/batcher.ts';
import { runRoom } from '../batching/room.ts';
import { RowSplitter } from '../batching/split.ts';
import type { Engine } from '../engine/port.ts';
import { readKernelFile } from '../config/cgroup.ts';
import { thresholdIn } from '../config/native-environment.ts';
import { hasRaisedThresholds } from '../config/allocation.ts';
import { sessionOptions, type SessionOptions } from '../engine/session-options.ts';
import { hasFreeShape, isBatchable, signatureOf, type Signature } from '../engine/signature.ts';
import type { RunWatch } from '../engine/run-watch.ts';
import { planWorkers } from './plan-workers.ts';
import type { Machine, Threads } from '../engine/threads.ts';
import { unknownRunMemory, type RunMemory } from '../engine/run-memory.ts';
import { renewWorker } from '../engine/renew.ts';
import { boundedEngine, warmUp } from '../engine/warmup.ts';
import { KeptMeasures, measuresKey, recallOrMeasure } from './kept-measures.ts';
import { codecBytes, planLimits, shareMemory, type MemoryShares, type ServerLimits } from '../config/limits.ts';
import { defaultDecodeLimits } from '../protocol/oip/decode.ts';
import { ThreadedCodec } from '../protocol/oip/codec.ts';
import type { RuntimeMetrics } from '../call/metrics.ts';
import type { ProtocolModel } from '../protocol/handlers.ts';
import type { Tally } from '../call/tally.ts';
import type { Task } from '../tasks/task.ts';
import { tasks } from '../tasks/registry.ts';
import type { ConfigSources } from '../transport/http/insight.ts';

/** Settings that follow from config, model and machine before the model is loaded. */
export type ServingPlan = {
  readonly config: RuntimeConfig;
  readonly signature: Signature;
  readonly graphPath: string;
  readonly threads: Threads;
  readonly session: SessionOptions;
  readonly limits: ServerLimits;
  /** The container's memory limit; undefined: no limit. */
  readonly memoryBytes: number | undefined;
  /** True if a worker keeps the memory of its largest run, whose size varies. */
  readonly keeps: boolean;
  /** Digest of the served model. */
  readonly digest: string;
  /** Where measurements of the model are kept; undefined: they are not. */
  readonly buildFolder: string | undefined;
  /** Why requests are neither batched nor split; undefined when both are possible. */
  readonly alone: string | undefined;
  /** Messages about settings that are not applied as configured, with the reason. */
  readonly notes: readonly string[];
};

export type Room = Machine & { readonly memoryBytes: number | undefined; readonly bodyBytes: number };

export function planServing(config: RuntimeConfig, prepared: Prepared, machine: Room): ServingPlan {
  const { threads, notes } = planWorkers(config, prepared, machine);
  const signature = signatureOf(prepared.info);
  // `prepare` found that these providers work on this machine. `prepare` also refuses the model when fallbackPolicy
  // forbids a fallback.
  const providers = config.execution.providers.filter(({ name }) => prepared.providerChain.includes(name));
  const session = sessionOptions({
    execution: {
      ...config.execution,
      providers,
      sessionConfig: { ...config.execution.sessionConfig, ...prepared.sessionConfig },
    },
    memory: config.memory,
    threads,
    signature,
    ...(prepared.allocation === undefined ? {} : { arena: prepared.allocation.arena }),
    optimized: prepared.optimised,
  });
  const alone = isBatchable(signature)
    ? becauseOf(prepared.info.rows)
    : "the first dimension of the model's inputs or outputs is fixed";
  return {
    config,
    signature,
    alone,
    graphPath: prepared.graphPath,
    digest: prepared.resolved.served ?? prepared.resolved.digest,
    buildFolder: prepared.buildFolder,
    threads,
    session,
    limits: planLimits(machine.bodyBytes, machine.memoryBytes),
    memoryBytes: machine.memoryBytes,
    keeps: hasFreeShape(signature) && (session.enableCpuMemArena || hasRaisedThresholds(prepared.allocation)),
    notes: [...notes, ...aloneNotes(config, alone)],
  };
}

/** @param rows undefined when the model was prepared by a version of `prepare` that does not check rows */
function becauseOf(rows: RowsVerdict | undefined): string | undefined {
  if (rows === undefined) return 'this version of prepare does not check whether rows are independent';
  return rows.independent ? undefined : rows.because;
}

function aloneNotes({ batching: { maxBatchSize } }: RuntimeConfig, because: string | undefined): readonly string[] {
  if (because === undefined || maxBatchSize === 1) return [];
  const asked = maxBatchSize === undefined ? '' : ` although batching.maxBatchSize is ${maxBatchSize}`;
  return [`requests are not batched${asked}: ${because}`];
}

/** How the sessions of this process get memory. */
export function allocationOf({ enableCpuMemArena: arena }: SessionOptions): {
  readonly arena: boolean;
  readonly thresholdBytes: number | null;
} {
  return { arena, thresholdBytes: thresholdIn(process.env) };
}

export type EngineRequest = {
  readonly model: string;
  readonly graphPath: string;
  readonly workers: number;
  readonly options: SessionOptions;
  readonly nice: number;
};

export type LoadingDeps = {
  readonly loadEngine: (request: EngineRequest) => Promise<Engine>;
  readonly sourceFile: (path: string) => string;
  readonly metrics: RuntimeMetrics;
  readonly tally: Tally;
  readonly runs: RunWatch;
  /** Anonymous memory of this process; undefined when it cannot be read. */
  readonly readAnonymous: () => Promise<number | undefined>;
  /** Whether runs are counted: not during the warm-up. */
  readonly isCounting: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
};

const differsInTrial = 'a test showed that batched rows get different answers than single rows';
/** Workers have a lower priority than the HTTP thread. */
const workerNice = 5;
/** Maximum rows of a run when the spec sets no maximum. The measured cost of runs decides how many of them are used. */
const defaultMostRows = 32;

export class LoadedModel implements ProtocolModel {
  readonly signature: Signature;
  readonly engine: Engine;
  readonly batcher: Batcher;
  readonly inference: RowSplitter;
  readonly codec: ThreadedCodec;
  readonly task: Task;
  readonly #shares: { now: MemoryShares };
  readonly #plan: ServingPlan;
  readonly #deps: LoadingDeps;
  #warmed = 0;
  #fill: number | undefined;
  #alone: string | undefined;
  #runMemory: RunMemory = unknownRunMemory;

  private constructor(plan: ServingPlan, deps: LoadingDeps, parts: Parts) {
    this.#plan = plan;
    this.#alone = plan.alone;
    this.#deps = deps;
    this.signature = plan.signature;
    this.engine = parts.engine;
    this.batcher = parts.batcher;
    this.inference = parts.splitter;
    this.#shares = parts.shares;
    this.codec = parts.codec;
    this.task = parts.task;
  }

  /** @throws AppError ENGINE_LOAD_FAILED, and errors of the task */
  static async load(plan: ServingPlan, deps: LoadingDeps): Promise<LoadedModel> {
    const { config, signature, threads, session, limits, graphPath } = plan;
    const { clock, logger, sourceFile } = deps;
    const engine = deps.runs.watched(
      await deps.loadEngine({
        model: config.name,
        graphPath,
        workers: threads.workers,
        options: session,
        nice: workerNice,
      }),
    );
    const batcher = makeBatcher(plan, deps, engine);
    const splitter = new RowSplitter(batcher, plan.alone === undefined);
    // How much memory the model takes is only known after the warm-up; no request is served before that.
    const shares = { now: shareMemory(plan.memoryBytes, 0) };
    const codec = new ThreadedCodec({
      limits: { ...defaultDecodeLimits, maxElements: limits.requestElements },
      nice: workerNice,
      memoryBytes: codecBytes(config, shares.now),
      jsonLimitBytes: limits.jsonBytes,
      logger,
    });
    try {
      const createTask = await tasks[config.task].load();
      const parseBytes = (): number => shares.now.parseBytes - codecBytes(config, shares.now);
      const task = await createTask({ config, signature, inference: splitter, sourceFile, parseBytes, clock, logger });
      return new LoadedModel(plan, deps, { engine, batcher, splitter, codec, task, shares });
    } catch (error) {
      await codec.close();
      await engine.close();
      throw error;
    }
  }

  /** @throws AppError WARMUP_TIMEOUT; DRAINING when `stop` is aborted */
  async warm(stop: AbortSignal): Promise<void> {
    const { warmup, batching } = this.#plan.config;
    const { clock, logger } = this.#deps;
    const onProgress = (done: number): void => {
      this.#warmed = done;
    };
    const result = await warmUp({
      engine: this.engine,
      signature: this.signature,
      batchable: this.#plan.alone === undefined,
      requests: warmup.requests,
      timeoutMs: warmup.timeoutMs,
      clock,
      onProgress,
      stop,
    });
    this.#deps.runs.warmed();
    this.#fill = result.fill;
    if (result.problem !== undefined)
      logger.warn('model not warmed up: it accepts no generated input', { problem: result.problem });
    if (!result.batches) {
      // If the graph already prevents batching, do not warn twice: the plan's note is logged below.
      if (this.#alone === undefined)
        logger.warn('requests are not batched', { because: differsInTrial, maxBatchSize: batching.maxBatchSize });
      this.#alone ??= differsInTrial;
      this.batcher.limitRows(1);
    }
    const splits = result.batches && result.fill !== undefined;
    if (!splits) this.inference.keepWhole();
    if (result.fill !== undefined) await this.#learnRuns(result.fill, splits, stop);
    await this.#shareMemory();
    for (const note of this.notes) logger.warn('serving with a limitation', { note });
  }

  /** Why requests are neither batched nor split; undefined when both are possible. */
  get alone(): string | undefined {
    return this.#alone;
  }

  /** How the memory that the warmed-up model leaves free is divided. */
  get shares(): MemoryShares {
    return this.#shares.now;
  }

  /** The size of free dimensions in generated inputs; undefined when the model accepted none. */
  get fill(): number | undefined {
    return this.#fill;
  }

  /** Messages about requests that the model accepts, but for which the memory limit is too low. */
  get notes(): readonly string[] {
    const {
      maxTokens,
      signature,
      batcher: { room },
    } = this;
    const bytes = maxTokens === undefined ? 0 : room.bytesOf(1, maxTokens * signature.inputs.length);
    if (maxTokens === undefined || bytes <= room.largestBytes) return [];
    return [
      `a text of ${maxTokens} tokens (maxTokens) needs about ${formatBytes(bytes)} of memory for a run; ` +
        `${formatBytes(room.largestBytes)} is available: long texts are refused; raise spec.memory.limit or lower ` +
        'spec.model.embedding.maxTokens',
    ];
  }

  /** Maximum number of tokens of a text; undefined for tasks without text. */
  get maxTokens(): number | undefined {
    return this.task.maxTokens;
  }

  /** How much memory runs take, as measured. */
  get runMemory(): RunMemory {
    return this.#runMemory;
  }

  /** Learns the memory and the time of runs. */
  async #learnRuns(fill: number, independent: boolean, stop: AbortSignal): Promise<void> {
    const { memory, cost, isRecalled } = await this.#measure(fill, independent, stop);
    this.#runMemory = memory;
    this.batcher.useCosts(cost);
    const { keeps, config } = this.#plan;
    const { timeoutMs } = config.warmup;
    if (keeps && !isRecalled) await renewWorker(this, { fill, clock: this.#deps.clock, timeoutMs, stop });
  }

  async #measure(fill: number, independent: boolean, stop: AbortSignal): ReturnType<typeof recallOrMeasure> {
    const { config, memoryBytes: limitBytes, session, threads, keeps, digest: model, buildFolder } = this.#plan;
    const { timeoutMs } = config.warmup;
    const { clock, logger, readAnonymous } = this.#deps;
    const { runBytes } = shareMemory(limitBytes, (await readAnonymous()) ?? 0);
    const maxRows = this.#alone === undefined ? (config.batching.maxBatchSize ?? defaultMostRows) : 1;
    const inputs = { fill, maxFill: this.maxTokens, independent, maxRows };
    const memory = { limitBytes, keeps, thresholdBytes: thresholdIn(process.env) };
    const key = measuresKey({ model, session, threads, memory, inputs }, readKernelFile('/proc/cpuinfo') ?? '');
    return recallOrMeasure(new KeptMeasures(buildFolder, logger), key, {
      ...inputs,
      engine: boundedEngine({ engine: this.engine, clock, timeoutMs, stop }, clock.monotonic() + timeoutMs),
      signature: this.signature,
      keeps: keeps || session.enableCpuMemArena,
      onCpu: !config.execution.providers.some(({ name }) => name !== 'CPU'),
      runBytes,
      timeoutMs,
      readBytes: readAnonymous,
      clock,
    });
  }

  async #shareMemory(): Promise<void> {
    const { memoryBytes, threads, config, keeps } = this.#plan;
    const heldBytes = ((await this.#deps.readAnonymous()) ?? 0) + (this.task.laterBytes ?? 0);
    this.#shares.now = shareMemory(memoryBytes, heldBytes);
    const { runBytes, waitingBytes } = this.shares;
    this.batcher.limitMemory(runRoom(this.#runMemory, runBytes, threads.workers, keeps), waitingBytes);
    this.codec.limitMemory(codecBytes(config, this.shares));
  }

  get warmup(): { readonly done: number; readonly wanted: number } {
    return { done: this.#warmed, wanted: this.#plan.config.warmup.requests };
  }

  stats(): ReturnType<Tally['now']> {
    return this.#deps.tally.now();
  }

  batching(): { readonly maxRows: number; readonly maxDelayMs: number; readonly workers: number } {
    return {
      maxRows: this.inference.maxRows,
      maxDelayMs: this.#plan.config.batching.maxQueueDelayMs,
      workers: this.engine.workers.wanted,
    };
  }

  /** How many rows a run has at most, and the cost of runs that this follows from. */
  get joining(): { readonly maxRows: number } & Pick<ConfigSources['batching'], 'sizes' | 'costs'> {
    const { maxRows, costs } = this.batcher;
    return { maxRows, sizes: costs.shapes, costs: costs.points };
  }

  /** Waits for queued requests and current runs, then releases everything. */
  async close(): Promise<void> {
    await this.batcher.idle();
    await this.task.close?.();
    await this.codec.close();
    await this.engine.close();
  }
}

type Parts = {
  readonly engine: Engine;
  readonly batcher: Batcher;
  readonly splitter: RowSplitter;
  readonly codec: ThreadedCodec;
  readonly task: Task;
  readonly shares: { now: MemoryShares };
};

function makeBatcher(
  { config, limits, alone }: ServingPlan,
  { clock, metrics, tally, isCounting }: LoadingDeps,
  engine: Engine,
): Batcher {
  const { batching } = config;
  return new Batcher({
    model: config.name,
    engine,
    clock,
    soon: setImmediate,
    limits: {
      maxRows: alone === undefined ? (batching.maxBatchSize ?? defaultMostRows) : 1,
      maxRowsIsDefault: batching.maxBatchSize === undefined,
      maxElements: limits.batchElements,
      maxRequestElements: limits.requestElements,
      maxDelayMs: batching.maxQueueDelayMs,
      maxDepth: batching.maxQueueDepth,
    },
    news: {
      batch: ({ rows }) => {
        if (!isCounting()) return;
        metrics.ran(rows);
        tally.ran(rows);
      },
      fellApart: () => metrics.fellApart(),
    },
  });
}
