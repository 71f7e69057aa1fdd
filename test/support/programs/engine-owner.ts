/**
 * A process that owns an engine process and a run without an end in it, for tests of their end.
 * Arguments: the model's path. Prints the engine process's id when the run has begun. Exits with 0 on SIGUSR2.
 */
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { ProcessEngine } from '../../../runtime/engine/process/process-engine.ts';
import { sessionOptions } from '../../../runtime/engine/session-options.ts';
import { makeTensor } from '../../../runtime/engine/tensor.ts';
import { givenConfig } from '../model-server.ts';

const engine = await ProcessEngine.start({
  model: 'm',
  processes: 1,
  runsPerProcess: 1,
  task: {
    graphPath: process.argv[2] ?? '',
    options: sessionOptions({
      ...givenConfig(),
      threads: { workers: 1, threadsPerWorker: 1, spin: 'Off' },
      signature: { inputs: [], outputs: [] },
      optimized: false,
    }),
    nice: 0,
  },
  clock: systemClock,
  logger: silentLogger,
});
process.on('SIGUSR2', () => process.exit(0));
void engine.run({
  parts: [
    {
      n: makeTensor('int64', [], BigInt64Array.of(2n ** 63n - 1n)),
      x: makeTensor('float32', [1, 4], Float32Array.of(1, 1, 1, 1)),
    },
  ],
  outputs: ['y'],
});
process.stdout.write(`${engine.status.processes[0]?.pid}\n`);
