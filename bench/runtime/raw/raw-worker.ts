/**
 * One thread of the raw loop (ONNX Runtime without a server): a session with one thread, as a worker of the model
 * server has by default, and a loop that only calls `session.run`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Row } from '../cases.ts';
import { feedsOf } from './feeds.ts';
import type { RawJob, RawStart } from './job.ts';

const { graphPath, outputs } = workerData as RawStart;
const session = await InferenceSession.create(graphPath, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});

type Feeds = Parameters<typeof session.run>[0];

function tensorsOf(row: Row): Feeds {
  return Object.fromEntries(row.map(({ name, type, data, shape }) => [name, new Tensor(type, data as never, shape)]));
}

async function loop({ rows, batch, ms }: RawJob): Promise<void> {
  const feeds = feedsOf(rows, batch).map(tensorsOf);
  const fetches = [...outputs];
  const latenciesMs: number[] = [];
  const first = (await session.run(feeds[0] ?? {}, fetches))[outputs[0] ?? ''];
  const values = Float32Array.from((first?.data ?? []) as Float32Array).slice(0, (first?.data.length ?? 0) / batch);
  const cpuBefore = process.threadCpuUsage();
  const began = performance.now();
  let at = began;
  for (let index = 0; at - began < ms; index += 1) {
    await session.run(feeds[index % feeds.length] ?? {}, fetches);
    const now = performance.now();
    latenciesMs.push(now - at);
    at = now;
  }
  const { user, system } = process.threadCpuUsage(cpuBefore);
  parentPort?.postMessage({
    cpuSeconds: (user + system) / 1e6,
    rows: latenciesMs.length * batch,
    elapsedMs: at - began,
    latenciesMs: Float64Array.from(latenciesMs),
    values,
  });
}

parentPort?.on('message', (job: RawJob) => void loop(job));
parentPort?.postMessage('ready');
