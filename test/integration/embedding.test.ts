/** The task Embedding on ONNX Runtime, with a tiny encoder: the vectors do not depend on which texts run together. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pooling, RuntimeConfig } from '../../api/runtime-config.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { Inference } from '../../runtime/batching/port.ts';
import { WorkerPool } from '../../runtime/engine/pool.ts';
import type { NamedTensors } from '../../runtime/engine/tensor.ts';
import { createEmbedding } from '../../runtime/tasks/embedding/embedding.ts';
import { encoderInputs } from '../../runtime/tasks/embedding/inputs.ts';
import { writeTinyEncoder } from '../support/tiny-encoder.ts';

const texts = [
  'dog',
  'the lazy dog',
  'the quick brown fox jumps over the lazy dog.',
  'hello world!',
  'a fox and a dog',
  'tokenizing',
];

/** Sends one request at a time directly to a worker, without the batcher, which has its own tests. */
function inferenceOf(pool: WorkerPool, maxRows: number): Inference & { readonly sizes: number[] } {
  let last: Promise<unknown> = Promise.resolve();
  const sizes: number[] = [];
  return {
    sizes,
    maxRows,
    submit(request) {
      const run = last.then(async () => {
        sizes.push(request.inputs['input_ids']?.dims[0] ?? 0);
        const {
          parts: [part],
          inferMs,
        } = await pool.run({ parts: [request.inputs], outputs: request.outputs });
        if (part?.kind !== 'Done') throw new Error(part?.why);
        return { outputs: part.outputs as NamedTensors, queueMs: 0, inferMs, batchRows: 1 };
      });
      last = run.catch(() => {});
      return run;
    },
  };
}

describe('the task Embedding on ONNX Runtime', () => {
  let folder = '';
  let pool: WorkerPool;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'embedding-'));
    await writeTinyEncoder(folder);
    pool = await WorkerPool.start({
      model: 'tiny',
      workers: 1,
      clock: systemClock,
      logger: silentLogger,
      task: {
        graphPath: join(folder, 'model.onnx'),
        options: { intraOpNumThreads: 1, interOpNumThreads: 1 } as never,
        nice: 0,
      },
    });
  });
  after(async () => {
    await pool.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function embed(
    inputs: readonly string[],
    change: { pooling?: Pooling; output?: string; maxBatchSize?: number } = {},
  ) {
    const { pooling = 'None', output = 'sentence_embedding', maxBatchSize = 8 } = change;
    const inference = inferenceOf(pool, maxBatchSize);
    const hidden = 16;
    const task = await createEmbedding({
      config: {
        name: 'tiny',
        execution: { providers: [{ name: 'CPU', options: {} }] },
        embedding: {
          tokenizer: 'tokenizer.json',
          output,
          pooling,
          normalize: true,
          maxTokens: 32,
          onTooLong: 'Truncate',
        },
      } as unknown as RuntimeConfig,
      signature: {
        inputs: encoderInputs({
          inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({ name, type: 'int64' })),
          outputs: [],
        }).specs,
        outputs: [
          { name: 'last_hidden_state', type: 'float32', dims: ['batch', 'sequence', hidden] },
          { name: 'sentence_embedding', type: 'float32', dims: ['batch', hidden] },
        ],
      },
      inference,
      sourceFile: (path) => join(folder, path),
      parseBytes: () => 256 * 2 ** 20,
      clock: systemClock,
      logger: silentLogger,
    });
    try {
      const reply = await task.routes[0]!.handle({
        headers: {},
        body: Uint8Array.from(Buffer.from(JSON.stringify({ model: 'tiny', input: inputs }))),
        signal: new AbortController().signal,
        tier: 'interactive',
        trace: { decoded: () => {}, inferred: () => {}, produced: () => {} },
      });
      const { data } = JSON.parse(reply.body as string) as { data: { embedding: number[] }[] };
      return { vectors: data.map(({ embedding }) => embedding), sizes: inference.sizes };
    } finally {
      await task.close?.();
    }
  }

  function furthest(a: readonly number[][], b: readonly number[][]): number {
    return Math.max(...a.flatMap((vector, row) => vector.map((value, at) => Math.abs(value - b[row]![at]!))));
  }

  it('returns vectors of length 1 that distinguish texts', async () => {
    const { vectors } = await embed(texts);
    for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
    assert.ok(vectors.slice(1).every((vector) => furthest([vector], [vectors[0]!]) > 0.05));
  });

  it('returns the same vectors one by one and in batches with padding', async () => {
    // One text has 16 tokens and the others have 17: close enough to run together, with padding for the shortest row.
    const alike = ['a '.repeat(14), 'the '.repeat(15), 'fox '.repeat(15), 'dog '.repeat(14)];
    const together = await embed(alike);
    const apart = await embed(alike, { maxBatchSize: 1 });
    assert.deepEqual(together.sizes, [4]);
    assert.deepEqual(apart.sizes, [1, 1, 1, 1]);
    assert.ok(furthest(together.vectors, apart.vectors) < 1e-4, `${furthest(together.vectors, apart.vectors)}`);
  });

  it('pools like the pooling in the graph', async () => {
    const [graph, own] = [await embed(texts), await embed(texts, { pooling: 'Mean', output: 'last_hidden_state' })];
    assert.ok(furthest(graph.vectors, own.vectors) < 1e-5);
  });

  it('pools first and last tokens of padded rows like tokens of single rows', async () => {
    const alike = ['a '.repeat(14), 'the quick '.repeat(7) + 'fox'];
    for (const pooling of ['Cls', 'Last'] as const) {
      const padded = await embed(alike, { pooling, output: 'last_hidden_state' });
      const alone = await embed(alike, { pooling, output: 'last_hidden_state', maxBatchSize: 1 });
      assert.deepEqual(padded.sizes, [2]);
      assert.ok(furthest(padded.vectors, alone.vectors) < 1e-4);
    }
  });
});
