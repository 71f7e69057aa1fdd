/** The requests that the model server sends to itself: they run the model, and no metric counts them. */
import assert from 'node:assert/strict';
import { body, endAll, gated, infer } from '../support/gated-server.ts';
import { ask, jsonOf } from '../support/infer-client.ts';
import { makeServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

describe('self-requests of the model server', () => {
  afterEach(endAll);

  it('run the model by both forms of the protocol before the server is ready, and are not counted', async () => {
    const running = await makeServer({ model: matmul(), options: { selfRequestsMs: 3_000 } });
    await running.server.load();
    const metrics = await (await fetch(`${running.debugUrl}/metrics`)).text();
    assert.match(metrics, /onnx_runtime_batch_rows_count\{[^}]*\} 0\n/);
    assert.doesNotMatch(metrics, /onnx_runtime_requests_total\{[^}]*\} [1-9]/);
    const stats = jsonOf(await ask(running.url, '/v2/models/stats')) as { model_stats: { inference_count: number }[] };
    assert.equal(stats.model_stats[0]?.inference_count, 0);
    assert.equal((await ask(running.url, infer, { body })).status, 200);
    await running.end();
  });

  for (const { name, requests, isEnough } of [
    { name: 'are many more than the runs of the warm-up', requests: 1, isEnough: (runs: number) => runs >= 50 },
    { name: 'are not sent when the spec asks for no warm-up', requests: 0, isEnough: (runs: number) => runs < 50 },
  ])
    it(name, async () => {
      const { gate, running } = await gated({ warmup: { requests, timeoutMs: 30_000 } }, { selfRequestsMs: 3_000 });
      const runs = gate.engine.batches.length;
      await running.end();
      assert.ok(isEnough(runs), `${runs} runs`);
    });
});
