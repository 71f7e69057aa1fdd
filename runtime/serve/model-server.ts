/**
 * The server of one model.
 *
 * Owns: the order listen, load, warm up, serve, drain, release. Health endpoints answer from the start. drain() loses
 *       no request: first the readiness probe fails, and requests are served until clients stop sending them. Then the
 *       sockets close, the queue empties, and the sessions are released. A run is one call of ONNX Runtime by a worker.
 */
import { AppError } from '../../api/errors.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { ListenSettings } from '../config/command-line.ts';
import { SampledCalls } from '../sampling/sampled-calls.ts';
import { Sampler, samplerLimitBytes } from '../sampling/sampler.ts';
import type { TaskRoute } from '../tasks/task.ts';
import type { Prepared } from '../prepare/prepared.ts';
import { closedDoor, type Door } from '../config/access-file.ts';
import type { Batcher } from '../batching/batcher.ts';
import { Counters } from '../call/counters.ts';
import { RunWatch } from '../engine/run-watch.ts';
import type { Machine } from '../engine/threads.ts';
import { shareMemory } from '../config/limits.ts';
import { checkLoad, checkServing } from './memory-check.ts';
import { readKernelFile } from '../config/cgroup.ts';
import { collectCgroup } from './cgroup-metrics.ts';
import { warmHandlers } from './example-requests.ts';
import { selfServing } from './self-requests.ts';
import { allocationOf, planServing, LoadedModel, type LoadingDeps, type ServingPlan } from './loaded-model.ts';
import type { ClientDeadline } from '../call/client-deadline.ts';
import { debugApp } from '../transport/http/debug-server.ts';
import { serveBy, serveRequest, sidecarTerms, type HttpDeps, type Terms } from '../transport/http/exchange.ts';
import { plainHandler } from '../transport/http/plain/plain-exchange.ts';
import { HttpServers } from '../transport/http/http-server.ts';
import { effectiveConfig, LoopLag, newBootId, reportOf } from '../transport/http/insight.ts';
import { MemoryGuard } from '../call/memory-guard.ts';
import { metricsHandler, RuntimeMetrics } from '../call/metrics.ts';
import { observers } from '../call/observer.ts';
import { uncounted, type CallDeps } from '../call/perform.ts';
import { protocolHandlers } from '../protocol/handlers.ts';
import { Readiness } from '../call/readiness.ts';
import { isProbe, routeTable, type RouteTable } from '../transport/http/routes.ts';
import { StuckRuns } from '../call/stuck-runs.ts';
import { Tally } from '../call/tally.ts';
import { Transfers } from '../transport/http/transfers.ts';

export type ModelServerDeps = Pick<LoadingDeps, 'loadEngine' | 'sourceFile' | 'clock' | 'logger'> &
  Omit<ListenSettings, 'graceMs'> & {
    readonly config: RuntimeConfig;
    readonly prepared: Prepared;
    /** The sockets close at the latest this long after the drain began. */
    readonly drainMostMs: number;
    readonly machine: Machine;
    /** The memory limit of the process; undefined: no limit. */
    readonly memoryLimitBytes: number | undefined;
    readonly serverVersion: string;
    readonly cpuFeatures: readonly string[];
    readonly throttledSeconds: () => number | undefined;
    /**
     * Checks tokens. Only a request with the token of this pod's revision may take samples (requests of users that were
     * kept), and is not counted as traffic. Absent: no token is accepted.
     */
    readonly door?: Door;
    /** Reads /proc/self/status; replaced in tests. */
    readonly readMemory?: () => Promise<string>;
    /** Called once when the liveness probe fails because runs are stuck. */
    readonly onStuck?: (error: AppError) => void;
  };

const debugConnections = 64;

export class ModelServer {
  readonly #deps: ModelServerDeps;
  readonly #plan: ServingPlan;
  readonly #bootId = newBootId();
  readonly #metrics: RuntimeMetrics;
  readonly #counters = new Counters();
  readonly #tally: Tally;
  readonly #sampler: Sampler;
  readonly #loop = new LoopLag();
  readonly #readiness: Readiness;
  readonly #guard: MemoryGuard;
  readonly #runs: RunWatch;
  readonly #open = new Set<ClientDeadline>();
  readonly #watching = new AbortController();
  #taskRoutes: readonly TaskRoute[] | undefined;
  #routes: RouteTable;
  #model: LoadedModel | undefined;
  #servers: HttpServers | undefined;
  #debug: HttpServers | undefined;

  constructor(deps: ModelServerDeps) {
    const { config, prepared, clock, logger, memoryLimitBytes, machine, bodyLimitBytes } = deps;
    this.#deps = deps;
    this.#plan = planServing(config, prepared, {
      ...machine,
      memoryBytes: memoryLimitBytes,
      bodyBytes: bodyLimitBytes,
    });
    this.#metrics = new RuntimeMetrics(config);
    collectCgroup(this.#metrics.registry, readKernelFile);
    this.#tally = new Tally(clock);
    this.#sampler = new Sampler({ clock, random: Math.random, limitBytes: samplerLimitBytes(memoryLimitBytes) });
    this.#runs = new RunWatch(clock, deps.stuckAfterMs);
    this.#readiness = new Readiness(
      clock,
      () => this.#workers,
      () => this.#runsSeen,
    );
    // Do not replace a worker during the warm-up to free memory: the warm-up fails when a worker ends.
    const recycle = (): void => {
      if (this.#readiness.startedUp) this.#model?.engine.recycle();
    };
    this.#guard = new MemoryGuard({ clock, logger, recycle, limitBytes: memoryLimitBytes, read: deps.readMemory });
    this.#routes = this.#routeTable();
  }

  /**
   * Opens the ports and answers probes from now on.
   * @throws AppError PORT_TAKEN
   */
  async listen(): Promise<void> {
    const { addresses, port, metricsPort, maxConnections, clock } = this.#deps;
    const deps = this.#httpDeps();
    const { transfers } = deps;
    const onFull = (): boolean => transfers.cutSlowest();
    const users = this.#userCalls();
    const forUsers: Terms = { calls: users, tier: 'interactive' };
    this.#servers = await HttpServers.listen(
      {
        addresses,
        port,
        maxConnections,
        clock,
        isProbe,
        plain: (keepAliveMs) => plainHandler(deps, forUsers, clock, keepAliveMs),
        onFull,
      },
      (request, response) => serveRequest(deps, forUsers, request, response),
    );
    void this.#stuckRuns().watch(this.#watching.signal);
    const sidecars = uncounted(users);
    const scrape = metricsHandler(this.#metrics.registry);
    // Scrapes have a separate memory budget, so that the metric of transfer memory does not include the scrape itself.
    const scrapes = { ...deps, transfers: new Transfers({ limitBytes: () => transfers.limitBytes, clock }) };
    const debug = debugApp({
      metrics: (request, response) =>
        serveBy(scrape, scrapes, { calls: sidecars, tier: 'interactive' }, { request, response, path: '/metrics' }),
      counters: () => this.#report(),
      config: () => this.#config(),
      sampler: this.#sampler,
      door: this.#deps.door ?? closedDoor,
      answerUncounted: (request, response, isSidecar) =>
        serveRequest(deps, isSidecar ? sidecarTerms(sidecars, request) : forUsers, request, response),
    });
    this.#debug = await HttpServers.listen(
      { addresses, port: metricsPort, maxConnections: debugConnections, onFull },
      async (request, response) => debug(request, response),
    );
    this.#metrics.readFrom({
      queue: () => this.#queue,
      memory: () => this.#guard.reading,
      allocation: () => allocationOf(this.#plan.session),
      workers: () => this.#workers,
      loop: () => this.#loop.reading,
      connections: () => this.connections,
      transferBytes: () => transfers.heldBytes,
      ready: () => this.#readiness.ready,
      runCosts: () => this.#model?.batcher.costs.points ?? [],
      oldestRunMs: () => this.#runs.oldestMs,
      runLimitMs: () => this.#runs.limitMs,
    });
    void this.#guard.watch(this.#watching.signal);
  }

  get port(): number {
    return this.#servers?.port ?? 0;
  }

  /** Open client connections. */
  get connections(): number {
    return this.#servers?.connections ?? 0;
  }

  get metricsPort(): number {
    return this.#debug?.port ?? 0;
  }

  /**
   * Loads and warms up the model, then serves requests.
   * @param stop aborted when the server should end; current runs are finished
   * @throws AppError ENGINE_LOAD_FAILED, WARMUP_TIMEOUT, MODEL_TOO_LARGE, DRAINING, and errors of the task
   */
  async load(stop: AbortSignal = new AbortController().signal): Promise<void> {
    const { prepared, memoryLimitBytes } = this.#deps;
    checkLoad(prepared, memoryLimitBytes, (await this.#guard.anonymousBytes()) ?? 0, this.#plan.threads.workers);
    this.#model = await LoadedModel.load(this.#plan, {
      ...this.#deps,
      metrics: this.#metrics,
      tally: this.#tally,
      runs: this.#runs,
      readAnonymous: () => this.#guard.anonymousBytes(),
      isCounting: () => this.#readiness.startedUp,
    });
    for (const note of this.#plan.notes) this.#deps.logger.warn('serving with a limitation', { note });
    this.#readiness.moveTo('Warming');
    await this.#model.warm(stop);
    await this.#checkRoom();
    this.#taskRoutes = this.#model.task.routes;
    this.#routes = this.#routeTable();
    const terms: Terms = { calls: this.#userCalls(), tier: 'interactive' };
    const serving = selfServing(this.#httpDeps(), terms, this.#deps.clock);
    await warmHandlers(this.#model, { ...this.#deps, ...serving, stop });
    this.#readiness.moveTo('Ready');
  }

  /**
   * Ends the server without losing a request, and releases everything.
   * @param hurry aborted to close the sockets at once
   */
  async drain(hurry?: AbortSignal): Promise<void> {
    const { drainMs, drainMostMs, logger } = this.#deps;
    const served = this.#readiness.startedUp;
    this.#readiness.moveTo('Draining');
    logger.info('draining', { queued: this.#queue.depth, connections: this.connections });
    if (served) await this.#servers?.quiet({ quietMs: drainMs, mostMs: drainMostMs }, hurry);
    await this.close();
  }

  /**
   * Answers every open request with this error. Current runs continue, because they cannot be stopped. @returns the
   * number of requests
   */
  giveUp(error: AppError): number {
    const { size } = this.#open;
    for (const request of this.#open) request.giveUp(error);
    return size;
  }

  /** False when only a restart of the process can help. */
  get alive(): boolean {
    return this.#readiness.alive;
  }

  /** Why requests are not batched; undefined when requests are batched. */
  get alone(): string | undefined {
    return (this.#model ?? this.#plan).alone;
  }

  /** Age of the oldest current run and the limit of a run, in milliseconds. */
  get runs(): { readonly oldestMs: number; readonly limitMs: number } {
    return this.#runs;
  }

  /** Answers current requests, then releases everything. */
  async close(): Promise<void> {
    this.#readiness.moveTo('Draining');
    await this.#servers?.close();
    await this.#model?.close();
    this.#watching.abort();
    this.#sampler.ask(0);
    await this.#debug?.close();
  }

  /**
   * Checks that the memory limit leaves room for requests: a server that would refuse every request must not become
   * ready.
   * @throws AppError MODEL_TOO_LARGE
   */
  async #checkRoom(): Promise<void> {
    await this.#guard.look();
    checkServing(this.#deps.prepared, this.#guard.reading, this.#model?.task.laterBytes);
  }

  get #queue(): Batcher['queue'] {
    return this.#model?.batcher.queue ?? { depth: 0, rows: 0, bytes: 0, oldestMs: 0 };
  }

  get #workers(): { readonly ready: number; readonly wanted: number } {
    return this.#model?.engine.workers ?? { ready: 0, wanted: this.#plan.threads.workers };
  }

  get #runsSeen(): { readonly oldestMs: number; readonly stuckMs: number; readonly limitMs: number } {
    return {
      oldestMs: this.#runs.oldestMs,
      stuckMs: this.#runs.stuckMs(this.#workers.ready),
      limitMs: this.#runs.limitMs,
    };
  }

  #stuckRuns(): StuckRuns {
    const { clock, logger, config, onStuck = () => {} } = this.#deps;
    return new StuckRuns({
      clock,
      logger,
      model: config.name,
      onHopeless: onStuck,
      // Runs of the warm-up are not watched, because the warm-up has its own timeout.
      runs: () => (this.#readiness.startedUp ? this.#runsSeen : { oldestMs: 0, stuckMs: 0, limitMs: Infinity }),
      giveUp: (which, error) => this.#model?.batcher.giveUp(which, error),
    });
  }

  #loadedModel(): LoadedModel {
    if (this.#model === undefined) throw new AppError('NOT_READY', { state: this.#readiness.reason });
    return this.#model;
  }

  #routeTable(): RouteTable {
    const { config, serverVersion, clock } = this.#deps;
    const served = { name: config.name, version: config.revision };
    const handlers = protocolHandlers({
      served,
      serverVersion,
      startedSeconds: Math.floor(clock.now() / 1000),
      readiness: this.#readiness,
      model: () => this.#loadedModel(),
    });
    return routeTable(served, handlers, this.#taskRoutes);
  }

  #httpDeps(): HttpDeps {
    const {
      memoryBytes,
      limits: { bodyBytes },
    } = this.#plan;
    const unloaded = shareMemory(memoryBytes, 0);
    const bodiesBytes = (): number => (this.#model?.shares ?? unloaded).bodiesBytes;
    return {
      routes: () => this.#routes,
      draining: () => this.#readiness.state === 'Draining',
      bodyLimitBytes: () => Math.min(bodyBytes, bodiesBytes()),
      transfers: new Transfers({ limitBytes: bodiesBytes, clock: this.#deps.clock }),
    };
  }

  #userCalls(): CallDeps {
    const { clock, logger, config } = this.#deps;
    const isIdle = (): boolean => this.#isIdle;
    return {
      admit: () => {
        this.#readiness.admit();
        this.#guard.admit();
      },
      isIdle,
      expectedWaitMs: (tier, client) => this.#model?.batcher.expectedWaitMs(tier, client) ?? 0,
      clientHeader: config.batching.clientHeader?.toLowerCase(),
      ownDeadlineMs: () => this.#runs.limitMs,
      open: this.#open,
      observer: observers([
        this.#metrics,
        this.#counters,
        this.#tally,
        new SampledCalls({ sampler: this.#sampler, isIdle }),
      ]),
      tellsService: false,
      clock,
      logger,
    };
  }

  /**
   * Whether a sidecar's request may run: no request is queued, and two workers are free (one, if the server has only
   * one worker). An empty queue is not enough: a run cannot be stopped, so a user request that arrives during it needs
   * another worker.
   */
  get #isIdle(): boolean {
    const { freeSlots = 0, workers } = this.#model?.engine ?? {};
    return this.#queue.depth === 0 && freeSlots >= Math.max(1, Math.min(2, workers?.ready ?? 0));
  }

  #report(): unknown {
    const { config, prepared, cpuFeatures, machine, throttledSeconds } = this.#deps;
    return reportOf({
      bootId: this.#bootId,
      config,
      prepared,
      readiness: this.#readiness,
      guard: this.#guard,
      counters: this.#counters,
      loop: this.#loop,
      warmup: this.#model?.warmup ?? { done: 0, wanted: config.warmup.requests },
      queue: this.#queue,
      throttledSeconds: throttledSeconds(),
      node: { cpuFeatures, cores: machine.cpus },
    });
  }

  #config(): unknown {
    const { session, notes, memoryBytes } = this.#plan;
    const { maxBatchSize: maxRows } = this.#deps.config.batching;
    return effectiveConfig({
      ...this.#deps,
      ...this.#plan,
      options: session,
      batching: { ...(this.#model?.joining ?? { maxRows, sizes: [], costs: [] }), because: this.alone },
      memory: { shares: this.#model?.shares ?? shareMemory(memoryBytes, 0), runs: this.#model?.runMemory.points ?? [] },
      notes: [...notes, ...(this.#model?.notes ?? [])],
    });
  }
}
