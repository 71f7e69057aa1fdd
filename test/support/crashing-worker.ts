/**
 * An engine worker without a model: it answers zeros, throws during a run when the first value is -1, and fails to load
 * when its file is named `broken`.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { FromWorker, ToWorker, WorkerTask } from '../../runtime/engine/messages.ts';

const port = parentPort;
const { graphPath } = workerData as WorkerTask;
const say = (message: FromWorker): void => port?.postMessage(message);

port?.on('message', (message: ToWorker) => {
  if (message.kind === 'release') return port.close();
  if (message.kind !== 'run') throw new Error(`this worker cannot ${message.kind}`);
  const parts = message.batch.parts.map((part) => {
    if (part['x']?.data[0] === -1) throw new Error('the worker broke');
    return {
      kind: 'Done' as const,
      outputs: { y: { type: 'float32' as const, dims: [1, 1], data: new Float32Array(1) } },
    };
  });
  return say({ kind: 'ran', result: { parts, inferMs: 0, together: true } });
});

if (graphPath.endsWith('broken')) {
  say({ kind: 'loadFailed', why: 'no such model' });
  port?.close();
} else say({ kind: 'loaded', loadMs: 0 });
