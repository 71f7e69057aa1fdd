/**
 * The baseline: onnxruntime-node in worker threads of a Node program, as in the model server, without a server.
 * Use: `raw-loop.ts`, only by a parent with an IPC channel. The first message is a RawStart, the next ones are jobs.
 */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { RawJob, RawReport, RawStart } from './job.ts';

const workerFile = fileURLToPath(new URL('raw-worker.ts', import.meta.url));
let workers: readonly Worker[] = [];

async function start(plan: RawStart): Promise<'ready'> {
  workers = Array.from({ length: plan.workers }, () => new Worker(workerFile, { workerData: plan }));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  return 'ready';
}

async function run(job: RawJob): Promise<RawReport> {
  const used = workers.slice(0, job.workers);
  const parts = await Promise.all(
    used.map(async (worker) => {
      const answer = once(worker, 'message') as Promise<[RawReport]>;
      worker.postMessage(job);
      return (await answer)[0];
    }),
  );
  return {
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    elapsedMs: Math.max(...parts.map(({ elapsedMs }) => elapsedMs)),
    latenciesMs: Float64Array.from(parts.flatMap(({ latenciesMs }) => [...latenciesMs])),
    cpuSeconds: parts.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
    values: parts[0]?.values ?? new Float32Array(),
  };
}

process.on('message', (message: RawStart | RawJob) => {
  void ('graphPath' in message ? start(message) : run(message)).then((answer) => process.send?.(answer));
});
process.on('disconnect', () => process.exit(0));
