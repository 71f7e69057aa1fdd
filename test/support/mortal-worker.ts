/** The real engine worker, except that it ends instead of running a step whose input `x` begins with -1. */
import { parentPort } from 'node:worker_threads';
import type { ToWorker } from '../../runtime/engine/messages.ts';

// Listen before the real worker does, so that the thread ends before ONNX Runtime begins the run.
parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'step' && message.steps.some(({ inputs }) => inputs['x']?.data[0] === -1)) process.exit(1);
});

await import('../../runtime/engine/worker.ts');
