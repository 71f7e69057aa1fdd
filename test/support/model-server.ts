/**
 * A model server in this process, on its own ports, for tests.
 * Owns: what `prepare` would return (without a cache), defaults for everything that a test does not set, and a folder
 * that is removed at the end.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Prepared } from '../../runtime/prepare/prepared.ts';
import type { Engine } from '../../runtime/engine/port.ts';
import { WorkerPool } from '../../runtime/engine/pool.ts';
import type { EngineRequest } from '../../runtime/serve/loaded-model.ts';
import { ModelServer, type ModelServerDeps } from '../../runtime/serve/model-server.ts';
import type { Model } from '../../runtime/onnx/build.ts';
import { inspectModel } from '../../runtime/onnx/inspect.ts';
import { writeModel } from './onnx-models.ts';

export type Given = {
  readonly model: Model;
  readonly config?: Partial<RuntimeConfig>;
  /** Changes the result of `prepare`; `usual` is the default result. */
  readonly prepared?: (usual: Prepared) => Prepared;
  readonly options?: Partial<ModelServerDeps>;
};

export type RunningServer = {
  readonly server: ModelServer;
  readonly url: string;
  readonly debugUrl: string;
  readonly folder: string;
  /** Ends the server and removes its folder. */
  readonly end: () => Promise<void>;
};

export function givenConfig(overrides: Partial<RuntimeConfig> = {}): RuntimeConfig {
  return {
    schema: 1,
    name: 'm',
    namespace: 'default',
    revision: '6c9f01ab2d',
    task: 'Tensor',
    source: { uri: 'file:///model.onnx', variants: [] },
    execution: {
      providers: [{ name: 'CPU', options: {} }],
      fallbackPolicy: 'Forbid',
      precision: 'Source',
      graphOptimization: 'All',
      profile: 'Throughput',
      workers: 1,
      threadsPerWorker: 1,
      sessionConfig: {},
    },
    batching: { maxBatchSize: 8, maxQueueDelayMs: 0, maxQueueDepth: 64 },
    memory: { arena: 'Auto' },
    warmup: { requests: 1, timeoutMs: 30_000 },
    ...overrides,
  };
}

/** The files that `prepare` would leave for a model that is served unchanged. */
export async function givenPrepared(path: string, revision: string): Promise<Prepared> {
  const info = await inspectModel(path);
  return {
    schema: 1,
    revision,
    info,
    graphPath: path,
    optimised: false,
    providerChain: ['CPU'],
    providers: [{ provider: 'CPU', nodes: 1, time: 1 }],
    root: join(path, '..'),
    files: [],
    notes: [],
    resolved: {
      digest: `sha256:${'0'.repeat(64)}`,
      bytes: (await stat(path)).size,
      signature: '0'.repeat(64),
      opset: info.opset,
      precision: 'FP32',
      provider: 'CPU',
      memoryEstimateBytes: 0,
    },
  };
}

/** Starts the real engine. */
export function loadWorkers({ model, graphPath, workers, options, nice }: EngineRequest): Promise<Engine> {
  return WorkerPool.start({
    model,
    workers,
    task: { graphPath, options, nice },
    clock: systemClock,
    logger: silentLogger,
  });
}

export async function makeServer({
  model,
  config,
  options,
  prepared = (usual) => usual,
}: Given): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), 'model-server-'));
  const path = await writeModel(folder, model);
  const full = givenConfig(config);
  const server = new ModelServer({
    config: full,
    prepared: prepared(await givenPrepared(path, full.revision)),
    addresses: ['127.0.0.1'],
    port: 0,
    metricsPort: 0,
    maxConnections: 256,
    bodyLimitBytes: 64 * 2 ** 20,
    drainMs: 0,
    drainMostMs: 600_000,
    stuckAfterMs: 30_000,
    selfRequestsMs: 0,
    machine: { cpus: 2 },
    memoryLimitBytes: undefined,
    serverVersion: '0.0.0',
    cpuFeatures: [],
    throttledSeconds: () => undefined,
    loadEngine: loadWorkers,
    sourceFile: (file) => join(folder, file),
    clock: systemClock,
    logger: silentLogger,
    ...options,
  });
  await server.listen();
  const made: RunningServer = {
    server,
    folder,
    url: `http://127.0.0.1:${server.port}`,
    debugUrl: `http://127.0.0.1:${server.metricsPort}`,
    end: async () => {
      if (!running.delete(made)) return;
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  running.add(made);
  return made;
}

const running = new Set<RunningServer>();

/** Ends the servers that a failed test left running, because an open port would keep the test run from ending. */
export async function endServers(): Promise<void> {
  await Promise.all([...running].map((server) => server.end()));
}

export async function startServer(given: Given): Promise<RunningServer> {
  const made = await makeServer(given);
  await made.server.load();
  return made;
}
