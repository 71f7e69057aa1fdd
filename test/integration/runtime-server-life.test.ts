/** The model server before it is ready, when it is full, when clients disconnect, and when workers end. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Prepared } from '../../runtime/prepare/prepared.ts';
import type { EngineBatch } from '../../runtime/engine/port.ts';
import { body, depthOf, endAll, Gate, gated, infer, until } from '../support/gated-server.ts';
import { ask, jsonOf, type Ask } from '../support/infer-client.ts';
import { givenConfig, makeServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

describe('model server before it is ready', () => {
  afterEach(endAll);

  it('is live, is not ready, and tells clients to retry', async () => {
    const running = await makeServer({ model: matmul() });
    const seen = await Promise.all(
      ['/v2/health/live', '/v2/health/ready', '/startup', '/v2/models/m/ready', '/v2/models/m'].map((path) =>
        ask(running.url, path),
      ),
    );
    assert.deepEqual(
      seen.map(({ status }) => status),
      [200, 503, 503, 503, 503],
    );
    const refused = await ask(running.url, infer, { body });
    assert.deepEqual(
      [refused.status, refused.headers['retry-after'], jsonOf(refused)],
      [503, '1', { error: 'the model is not ready: loading the model' }],
    );
    await running.server.load();
    assert.equal((await ask(running.url, '/v2/health/ready')).status, 200);
    assert.equal((await ask(running.url, infer, { body })).status, 200);
    await running.end();
  });

  it('reports why a model cannot be loaded', async () => {
    const running = await makeServer({
      model: matmul(),
      config: { execution: { ...givenConfig().execution, sessionConfig: { 'session.load_model_format': 'ORT' } } },
    });
    await assert.rejects(running.server.load(), /ENGINE_LOAD_FAILED|could not load/);
    assert.equal((await ask(running.url, '/v2/health/ready')).status, 503);
    await running.end();
  });
});

describe('model server without room', () => {
  afterEach(endAll);

  it('is not ready when it would refuse every request', async () => {
    const running = await makeServer({ model: matmul(), options: { memoryLimitBytes: 1024 } });
    await assert.rejects(running.server.load(), /needs about [\d.]+[KM]i of memory, the limit is 1Ki/);
    assert.equal((await ask(running.url, '/v2/health/ready')).status, 503);
    await running.end();
  });

  it('starts fewer workers than CPUs if memory is too small for more, and reports it', async () => {
    const limit = 1000 * 2 ** 20;
    // Set a fixed estimate, because a measured one would include the memory of the test process, which grows with every
    // test.
    const prepared = (each: Prepared): Prepared => ({
      ...each,
      resolved: { ...each.resolved, memoryEstimateBytes: Math.floor(limit / 3) },
    });
    const { workers: _, ...execution } = givenConfig().execution;
    const running = await makeServer({
      model: matmul(),
      config: { execution },
      prepared,
      options: {
        memoryLimitBytes: limit,
        machine: { cpus: 4 },
        readMemory: () => Promise.resolve('RssAnon: 65536 kB'),
      },
    });
    await running.server.load();
    const config = jsonOf(await ask(running.debugUrl, '/config')) as {
      execution: { workers: number };
      notes: string[];
    };
    assert.equal(config.execution.workers, 2);
    assert.match(
      config.notes.join(),
      /4 workers of about \w+ each do not fit into the memory limit of 1000Mi: .* reduced to 2/,
    );
    await running.end();
  });
});

describe('model server short of memory', () => {
  afterEach(endAll);
  const limit = 128 * 2 ** 20;
  const memory = { mib: 8 };
  const given = () =>
    gated(
      {},
      {
        memoryLimitBytes: limit,
        bodyLimitBytes: limit / 4,
        readMemory: () => Promise.resolve(`RssAnon: ${memory.mib * 1024} kB`),
      },
    );

  it('recycles a worker and refuses work, then accepts work again', async () => {
    memory.mib = 8;
    const { gate, call } = await given();
    gate.open = true;
    assert.equal((await call()).status, 200);
    memory.mib = 124;
    await until(async () => (await call()).status === 429);
    assert.equal((await call()).headers['x-error-code'], 'MEMORY_FULL');
    assert.equal(gate.engine.recycled, 1);
    memory.mib = 8;
    await until(async () => (await call()).status === 200);
  });

  it('does not recycle a worker during the warm-up', async () => {
    memory.mib = 8;
    const gate = new Gate();
    const looks: (() => void)[] = [];
    const running = await makeServer({
      model: matmul(),
      options: {
        loadEngine: () => Promise.resolve(gate.engine),
        memoryLimitBytes: limit,
        readMemory: async () => {
          looks.splice(0).forEach((looked) => looked());
          return `RssAnon: ${memory.mib * 1024} kB`;
        },
      },
    });
    const arrived = gate.arrival();
    gate.open = false;
    const loaded = running.server.load();
    await arrived;
    memory.mib = 112;
    // Wait until the memory was read twice: before the second read, the server has acted on the first one.
    for (const _ of [1, 2])
      await new Promise<void>((resolve) => {
        looks.push(resolve);
      });
    memory.mib = 8;
    gate.letGo();
    await loaded;
    assert.equal(gate.engine.recycled, 0);
    await running.end();
  });

  it("frees a body's memory after the answer", async () => {
    memory.mib = 8;
    const { call } = await given();
    const statuses = [];
    for (let count = 0; count < 4; count += 1)
      statuses.push((await call({ body: ' '.repeat(12 * 2 ** 20) })).headers['x-error-code']);
    assert.deepEqual(statuses, Array(4).fill('REQUEST_TOO_LARGE'));
  });
});

describe('model server under load', () => {
  afterEach(endAll);

  it('answers 429 with a time to retry when its queue is full', async () => {
    const { gate, running, call } = await gated({
      batching: { maxBatchSize: 1, maxQueueDelayMs: 0, maxQueueDepth: 1 },
    });
    const first = call();
    await gate.arrival();
    const second = call();
    await until(async () => (await depthOf(running)) === 1);
    const third = await call();
    assert.equal(third.status, 429);
    assert.match(String(third.headers['retry-after']), /^[1-9]\d*$/);
    assert.deepEqual(
      [third.headers['x-error-code'], jsonOf(third)],
      ['QUEUE_FULL', { error: 'the queue is full (limit: 1 requests); retry later' }],
    );
    gate.letGo();
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
    await running.end();
  });

  it('runs queued requests together', async () => {
    const { gate, running, call } = await gated();
    const first = call();
    await gate.arrival();
    const others = [call(), call(), call()];
    await until(async () => (await depthOf(running)) === 3);
    gate.letGo();
    assert.deepEqual(
      (await Promise.all([first, ...others])).map(({ status }) => status),
      [200, 200, 200, 200],
    );
    assert.deepEqual(
      gate.engine.batches.slice(-2).map(({ parts }: EngineBatch) => parts.length),
      [1, 3],
    );
    await running.end();
  });

  const deadlines: readonly { readonly name: string; readonly request: Ask }[] = [
    {
      name: 'the timeout parameter, in microseconds',
      request: { body: JSON.stringify({ ...(JSON.parse(body) as object), parameters: { timeout: 20_000 } }) },
    },
    { name: 'the x-request-timeout-ms header', request: { body, headers: { 'x-request-timeout-ms': '20' } } },
  ];
  for (const { name, request } of deadlines) {
    it(`gives up at the deadline of ${name}`, async () => {
      const { gate, running, call } = await gated();
      const first = call();
      await gate.arrival();
      const late = await call(request);
      assert.deepEqual([late.status, late.headers['x-error-code']], [504, 'REQUEST_EXPIRED']);
      gate.letGo();
      await first;
      assert.equal(gate.engine.batches.at(-1)?.parts.length, 1);
      await running.end();
    });
  }

  it('does not run a request whose client has left', async () => {
    const { gate, running, call } = await gated();
    const warmed = gate.engine.batches.length;
    const first = call();
    await gate.arrival();
    const client = new AbortController();
    const left = call({ body, signal: client.signal });
    await until(async () => (await depthOf(running)) === 1);
    client.abort();
    await assert.rejects(left);
    await until(async () => (await depthOf(running)) === 0);
    gate.letGo();
    await first;
    assert.equal(gate.engine.batches.filter(({ parts }) => parts.length > 0).length, 1 + warmed);
    assert.ok(
      (await ask(running.debugUrl, '/metrics')).body
        .toString()
        .includes('onnx_runtime_refused_total{reason="CLIENT_GONE"'),
    );
    await running.end();
  });

  it('drops a request whose client leaves while sending', async () => {
    const { gate, running, call } = await gated();
    const socket = connect(running.server.port, '127.0.0.1');
    socket.write(`POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"inputs": [`);
    await until(
      async () =>
        (await ask(running.debugUrl, '/metrics')).body.toString().match(/onnx_runtime_connections\{.*\} 1\n/) !== null,
    );
    socket.destroy();
    await until(async () =>
      (await ask(running.debugUrl, '/metrics')).body
        .toString()
        .includes('onnx_runtime_refused_total{reason="CLIENT_GONE"'),
    );
    gate.letGo();
    assert.equal((await call()).status, 200);
    await running.end();
  });

  it('answers 503 for the run of a lost worker, and answers the next request', async () => {
    const { gate, running, call } = await gated();
    const lost = call();
    await gate.arrival();
    gate.engine.lose();
    assert.deepEqual([(await lost).status, (await lost).headers['x-error-code']], [503, 'ENGINE_LOST']);
    gate.letGo();
    assert.equal((await call()).status, 200);
    await running.end();
  });

  it('answers health while every worker is busy', async () => {
    const { gate, running, call } = await gated();
    const first = call();
    await gate.arrival();
    assert.equal((await ask(running.url, '/v2/health/live')).status, 200);
    gate.letGo();
    await first;
    await running.end();
  });
});
