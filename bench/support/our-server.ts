/**
 * The runtime's server on one model file. It does not fetch or prepare a model. The bench compares it with
 * naive-server.ts.
 * Use: `our-server.ts MODEL [WORKERS] [THREADS] [NICE]`; prints its port.
 */
import { availableParallelism } from 'node:os';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { ModelServer } from '../../runtime/serve/model-server.ts';
import { doorFor } from '../../test/support/door.ts';
import { givenConfig, givenPrepared, loadWorkers } from '../../test/support/model-server.ts';

const [, , path = '', workers, threads, nice] = process.argv;
const base = givenConfig();
// prettier-ignore
const config = givenConfig({
  batching: { maxBatchSize: 16, maxQueueDelayMs: 0, maxQueueDepth: 1024 },
  execution: { ...base.execution, workers: Number(
      workers ?? availableParallelism()), threadsPerWorker: Number(threads ?? 1) },
  warmup: { requests: 8, timeoutMs: 60_000 },
});
const server = new ModelServer({
  config,
  prepared: await givenPrepared(path, config.revision),
  addresses: ['127.0.0.1'],
  port: 0,
  metricsPort: 0,
  maxConnections: 1024,
  bodyLimitBytes: 64 * 2 ** 20,
  drainMs: 0,
  drainMostMs: 600_000,
  stuckAfterMs: 30_000,
  selfRequestsMs: 0,
  machine: { cpus: availableParallelism() },
  memoryLimitBytes: undefined,
  serverVersion: '0',
  cpuFeatures: [],
  throttledSeconds: () => undefined,
  loadEngine: (request) => loadWorkers(nice === undefined ? request : { ...request, nice: Number(nice) }),
  sourceFile: (file) => file,
  clock: systemClock,
  logger: silentLogger,
  door: doorFor(),
});
await server.listen();
await server.load();
process.stdout.write(`port ${server.port} metrics ${server.metricsPort}\n`);
process.on('SIGTERM', () => void server.drain().then(() => process.exit(0)));
