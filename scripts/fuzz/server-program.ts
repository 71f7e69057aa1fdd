/**
 * The child process of the fuzzer: serves every model on its own port, and reports the ports to its parent.
 * Ends: with its parent. An uncaught error also ends it; the fuzzer counts this as a fault.
 */
import { rmSync } from 'node:fs';
import { createLogger } from '../../lib/log.ts';
import { makeServer, startServer, type RunningServer } from '../../test/support/model-server.ts';
import { tinyEncoder, writeTinyEncoder } from '../../test/support/tiny-encoder.ts';
import { encoderLimits } from './generate-embeddings.ts';
import { encoderName, tensorModels } from './models.ts';

/** Print errors, so that the user sees the cause of a 500. */
const logger = createLogger('fuzzed', 'error');
const options = { memoryLimitBytes: 2 ** 31, logger } as const;

async function serveEncoder(): Promise<RunningServer> {
  const embedding = {
    tokenizer: 'tokenizer.json',
    pooling: 'None',
    normalize: true,
    maxTokens: encoderLimits.maxTokens,
    onTooLong: 'Refuse',
  } as const;
  const made = await makeServer({
    model: tinyEncoder(),
    config: { name: encoderName, task: 'Embedding', embedding },
    options,
  });
  await writeTinyEncoder(made.folder);
  await made.server.load();
  return made;
}

const running: RunningServer[] = [];
for (const { name, model } of tensorModels)
  running.push(
    await startServer({
      model: model(),
      config: { name, batching: { maxBatchSize: 8, maxQueueDelayMs: 1, maxQueueDepth: 256 } },
      options,
    }),
  );
running.push(await serveEncoder());
const names = [...tensorModels.map(({ name }) => name), encoderName];

process.on('disconnect', () => {
  for (const { folder } of running) rmSync(folder, { recursive: true, force: true });
  process.exit(0);
});
process.send?.(names.map((name, index) => [name, running[index]?.server.port ?? 0]));
