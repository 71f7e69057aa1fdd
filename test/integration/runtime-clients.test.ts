/** Clients whose requests wait together at the model server: turns, and the place in a full queue. */
import assert from 'node:assert/strict';
import { depthOf, endAll, gated, infer, until } from '../support/gated-server.ts';
import { ask, inputOf, type Seen } from '../support/infer-client.ts';

describe('clients of the model server', () => {
  afterEach(endAll);
  const batching = { maxBatchSize: 1, maxQueueDelayMs: 0, maxQueueDepth: 4 };

  /**
   * One request runs and four of `greedy` wait; then `other` sends one.
   * @returns who was refused, and then whose requests ran, in order
   */
  async function crowded(clientHeader: string | undefined): Promise<readonly string[]> {
    const { gate, running } = await gated({
      batching: { ...batching, ...(clientHeader === undefined ? {} : { clientHeader }) },
    });
    const refused: string[] = [];
    const clients = ['greedy', 'other'];
    const send = (client: string): Promise<Seen> =>
      ask(running.url, infer, {
        body: JSON.stringify({ inputs: [inputOf([clients.indexOf(client), 0, 0, 0])] }),
        headers: { 'X-Client': client },
      }).then((seen) => {
        if (seen.status === 429) refused.push(client);
        return seen;
      });
    const arrival = gate.arrival();
    const all = [send('greedy')];
    await arrival;
    for (let waiting = 1; waiting <= 4; waiting += 1) {
      all.push(send('greedy'));
      await until(async () => (await depthOf(running)) === waiting);
    }
    all.push(send('other'));
    await until(() => refused.length > 0);
    const metrics = await (await fetch(`${running.debugUrl}/metrics`)).text();
    assert.match(metrics, /onnx_runtime_queue_rows\{[^}]*\} 4\n/);
    assert.match(metrics, /onnx_runtime_queue_bytes\{[^}]*\} 64\n/);
    assert.match(metrics, /onnx_runtime_refused_total\{reason="QUEUE_FULL",[^}]*\} 1\n/);
    gate.letGo();
    await Promise.all(all);
    await running.end();
    const ran = gate.engine.batches.slice(-5).map(({ parts }) => clients[Number(parts[0]?.['x']?.data[0])] ?? '');
    return [...refused, ...ran];
  }

  it('take turns, and the one with most requests makes place in a full queue', async () => {
    const [refused, ...ran] = await crowded('X-Client');
    assert.equal(refused, 'greedy');
    assert.deepEqual(ran, ['greedy', 'greedy', 'other', 'greedy', 'greedy']);
  });

  it('are one client when no header is named and their address is the same', async () => {
    const [refused, ...ran] = await crowded(undefined);
    assert.equal(refused, 'other');
    assert.deepEqual(ran, Array(5).fill('greedy'));
  });
});
