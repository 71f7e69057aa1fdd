/** The answer to a request does not depend on other requests, and a server that does not batch reports the reason. */
import assert from 'node:assert/strict';
import { ask, inputOf, jsonOf } from '../support/infer-client.ts';
import { endServers, startServer, type RunningServer } from '../support/model-server.ts';
import { autoScale, matmul } from '../support/onnx-models.ts';

const outputOf = async (running: RunningServer, values: readonly number[]): Promise<readonly number[]> => {
  const seen = await ask(running.url, '/v2/models/m/infer', { body: JSON.stringify({ inputs: [inputOf(values)] }) });
  return (jsonOf(seen) as { readonly outputs: readonly { readonly data: readonly number[] }[] }).outputs[0]?.data ?? [];
};
const batchingOf = async (running: RunningServer): Promise<unknown> => {
  const { batching, notes } = jsonOf(await ask(running.debugUrl, '/config')) as {
    readonly batching: { readonly maxBatchSize: number; readonly because?: string };
    readonly notes: readonly string[];
  };
  return {
    maxBatchSize: batching.maxBatchSize,
    because: batching.because,
    notes: notes.filter((note) => note.includes('batch')),
  };
};

describe('answers to concurrent requests', () => {
  afterEach(endServers);

  it('equal the answers to single requests, if rows depend on each other for large values only', async () => {
    const running = await startServer({
      model: autoScale(),
      config: { batching: { maxBatchSize: 8, maxQueueDelayMs: 5, maxQueueDepth: 256 } },
    });
    const small = [0.25, 0.5, 0.75, 1];
    const all = await Promise.all(
      Array.from({ length: 64 }, (_, at) => outputOf(running, at % 2 === 0 ? small : [255, 128, 64, 0])),
    );
    assert.deepEqual(
      all.filter((_, at) => at % 2 === 0),
      Array.from({ length: 32 }, () => small),
    );
    assert.deepEqual(await batchingOf(running), {
      maxBatchSize: 1,
      because: "ReduceMax 'largest' reduces all rows to one value",
      notes: [
        'requests are not batched although batching.maxBatchSize is 8: ' +
          "ReduceMax 'largest' reduces all rows to one value",
      ],
    });
  });

  it('come from batches if the graph shows that rows are independent; the server reports no reason', async () => {
    const running = await startServer({ model: matmul() });
    assert.deepEqual(await batchingOf(running), { maxBatchSize: 8, because: undefined, notes: [] });
  });
});
