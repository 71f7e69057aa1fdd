/**
 * The model server through its life: before it is ready, when it is full, when clients or workers leave, and at its end.
 */
import assert from 'node:assert/strict';
import { Agent, request as send } from 'node:http';
import { connect } from 'node:net';
import type { EngineBatch } from '../../runtime/engine/port.ts';
import type { Prepared } from '../../runtime/artifact/prepared.ts';
import type { NamedTensors } from '../../runtime/engine/tensor.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { ask, inputOf, jsonOf, type Ask } from '../support/infer-client.ts';
import { endServers, givenConfig, makeServer, startServer, type RunningServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

const infer = '/v2/models/m/infer';
const body = JSON.stringify({ inputs: [inputOf([1, 2, 3, 4])] });
const noWarmup = { warmup: { requests: 0, timeoutMs: 1000 } };

/** Answers two zeros a row; each batch waits at the gate while it is closed. */
class Gate {
  open = true;
  readonly #waiting: (() => void)[] = [];
  #arrived: () => void = () => {};
  readonly engine = new FakeEngine({
    model: ({ x }: NamedTensors) => ({ y: { type: 'float32', dims: [x?.dims[0] ?? 0, 2], data: new Float32Array(2 * (x?.dims[0] ?? 0)) } }),
    gate: () => {
      this.#arrived();
      return this.open ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
    },
  });

  /** Resolves when the next batch has come to the gate. */
  arrival(): Promise<void> {
    return new Promise((resolve) => { this.#arrived = resolve; });
  }

  letGo(): void {
    this.open = true;
    for (const go of this.#waiting.splice(0)) go();
  }
}

const gates: Gate[] = [];

/** What a failed test left behind would keep the run from ending. */
async function endAll(): Promise<void> {
  for (const gate of gates.splice(0)) gate.letGo();
  await endServers();
}

async function gated(config: Parameters<typeof givenConfig>[0] = {}, options: Parameters<typeof makeServer>[0]['options'] = {}): Promise<{ gate: Gate; running: RunningServer; call: (request?: Ask) => ReturnType<typeof ask> }> {
  const gate = new Gate();
  gates.push(gate);
  const running = await startServer({ model: matmul(), config: { ...noWarmup, ...config }, options: { loadEngine: () => Promise.resolve(gate.engine), ...options } });
  gate.open = false;
  return { gate, running, call: (request = { body }) => ask(running.url, infer, request) };
}

/** Looks again and again until it holds, for at most five seconds. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 5000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it never came true');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const depthOf = async (running: RunningServer): Promise<number> => (jsonOf(await ask(running.debugUrl, '/counters')) as { queue: { depth: number } }).queue.depth;

describe('model server before it is ready', () => {
  afterEach(endAll);

  it('lives, is not ready, and asks clients to come back', async () => {
    const running = await makeServer({ model: matmul() });
    const seen = await Promise.all(['/v2/health/live', '/v2/health/ready', '/startup', '/v2/models/m/ready', '/v2/models/m'].map((path) => ask(running.url, path)));
    assert.deepEqual(seen.map(({ status }) => status), [200, 503, 503, 503, 503]);
    const refused = await ask(running.url, infer, { body });
    assert.deepEqual([refused.status, refused.headers['retry-after'], jsonOf(refused)], [503, '1', { error: 'the model is not ready: loading the model' }]);
    await running.server.load();
    assert.equal((await ask(running.url, '/v2/health/ready')).status, 200);
    assert.equal((await ask(running.url, infer, { body })).status, 200);
    await running.end();
  });

  it('says why a model cannot be loaded', async () => {
    const running = await makeServer({ model: matmul(), config: { execution: { ...givenConfig().execution, sessionConfig: { 'session.load_model_format': 'ORT' } } } });
    await assert.rejects(running.server.load(), /ENGINE_LOAD_FAILED|could not load/);
    assert.equal((await ask(running.url, '/v2/health/ready')).status, 503);
    await running.end();
  });
});

describe('model server without room', () => {
  afterEach(endAll);

  it('does not call itself ready when it would refuse everything', async () => {
    const running = await makeServer({ model: matmul(), options: { memoryLimitBytes: 1024 } });
    await assert.rejects(running.server.load(), /needs about \d+ bytes, the memory limit is 1024/);
    assert.equal((await ask(running.url, '/v2/health/ready')).status, 503);
    await running.end();
  });

  it('starts fewer workers than there are CPUs where memory holds fewer, and says so', async () => {
    const limit = 1000 * 2 ** 20;
    const prepared = (each: Prepared): Prepared => ({ ...each, resolved: { ...each.resolved, memoryEstimateBytes: Math.floor(limit / 3) } });
    const { workers: _, ...execution } = givenConfig().execution;
    const running = await makeServer({ model: matmul(), config: { execution }, prepared, options: { memoryLimitBytes: limit, machine: { cpus: 4 } } });
    await running.server.load();
    const config = jsonOf(await ask(running.debugUrl, '/config')) as { execution: { workers: number }; notes: string[] };
    assert.equal(config.execution.workers, 2);
    assert.match(config.notes.join(), /4 workers of about \d+ bytes each do not fit into 1048576000: there are 2/);
    await running.end();
  });
});

describe('model server under load', () => {
  afterEach(endAll);

  it('answers 429 with a time to come back when its queue is full', async () => {
    const { gate, running, call } = await gated({ batching: { maxBatchSize: 1, maxQueueDelayMs: 0, maxQueueDepth: 1 } });
    const first = call();
    await gate.arrival();
    const second = call();
    await until(async () => (await depthOf(running)) === 1);
    const third = await call();
    assert.equal(third.status, 429);
    assert.match(String(third.headers['retry-after']), /^[1-9]\d*$/);
    assert.deepEqual([third.headers['x-error-code'], jsonOf(third)], ['QUEUE_FULL', { error: 'the queue holds its limit of 1 requests' }]);
    gate.letGo();
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
    await running.end();
  });

  it('runs together what waited together', async () => {
    const { gate, running, call } = await gated();
    const first = call();
    await gate.arrival();
    const others = [call(), call(), call()];
    await until(async () => (await depthOf(running)) === 3);
    gate.letGo();
    assert.deepEqual((await Promise.all([first, ...others])).map(({ status }) => status), [200, 200, 200, 200]);
    assert.deepEqual(gate.engine.batches.slice(-2).map(({ parts }: EngineBatch) => parts.length), [1, 3]);
    await running.end();
  });

  const deadlines: readonly { readonly name: string; readonly request: Ask }[] = [
    { name: 'the timeout parameter, in microseconds', request: { body: JSON.stringify({ ...(JSON.parse(body) as object), parameters: { timeout: 20_000 } }) } },
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

  it('does not run what its client no longer waits for', async () => {
    const { gate, running, call } = await gated();
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
    assert.equal(gate.engine.batches.filter(({ parts }) => parts.length > 0).length, 1 + warmRuns);
    assert.ok((await ask(running.debugUrl, '/metrics')).body.toString().includes('onnx_runtime_refused_total{reason="CLIENT_GONE"'));
    await running.end();
  });

  it('forgets a client that leaves while it sends', async () => {
    const { gate, running, call } = await gated();
    const socket = connect(running.server.port, '127.0.0.1');
    socket.write(`POST ${infer} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"inputs": [`);
    await until(async () => (await ask(running.debugUrl, '/metrics')).body.toString().match(/onnx_runtime_connections\{.*\} 1\n/) !== null);
    socket.destroy();
    await until(async () => (await ask(running.debugUrl, '/metrics')).body.toString().includes('onnx_runtime_refused_total{reason="CLIENT_GONE"'));
    gate.letGo();
    assert.equal((await call()).status, 200);
    await running.end();
  });

  it('answers 503 for what a lost worker ran, and the next request', async () => {
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

/** The warm-up's runs: one for the size, four for the check that rows are independent. */
const warmRuns = 5;

describe('model server at its end', () => {
  afterEach(endAll);

  it('loses no request: readiness goes first, then connections, then the engine', async () => {
    const { gate, running } = await gated({}, { drainMs: 60_000 });
    gate.open = true;
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const statuses: number[] = [];
    const closing: string[] = [];
    let stop = false;
    const client = async (): Promise<void> => {
      while (!stop) {
        await new Promise<void>((resolve) => {
          const request = send(new URL(infer, running.url), { method: 'POST', agent, headers: { 'content-length': body.length } }, (response) => {
            response.resume().on('end', () => {
              statuses.push(response.statusCode ?? 0);
              closing.push(response.headers.connection ?? '');
              resolve();
            });
          });
          request.on('error', () => {
            statuses.push(0);
            resolve();
          });
          request.end(body);
        });
      }
    };
    const clients = Array.from({ length: 8 }, client);
    await until(() => statuses.length > 50);
    const learned = new AbortController();
    const draining = running.server.drain(learned.signal);
    // As a load balancer does: it looks at readiness, and sends nothing more once that is gone.
    await until(async () => (await ask(running.url, '/v2/health/ready')).status === 503);
    assert.equal((await ask(running.url, '/v2/health/live')).status, 200);
    stop = true;
    await Promise.all(clients);
    learned.abort();
    await draining;
    agent.destroy();
    assert.deepEqual(statuses.filter((status) => status !== 200), []);
    assert.ok(closing.includes('close'), 'clients are told to close');
    await assert.rejects(ask(running.url, '/v2/health/live'), /ECONNREFUSED/);
    await running.end();
  });

  it('does not wait for connections that never asked for anything', async () => {
    const { running } = await gated();
    const silent = connect(running.server.port, '127.0.0.1');
    await new Promise((resolve) => silent.on('connect', resolve));
    const ended = new Promise((resolve) => silent.on('close', resolve));
    await ask(running.url, '/v2/health/live');
    await running.end();
    await ended;
  });

  it('answers what waits in its queue before it ends', async () => {
    const { gate, running, call } = await gated({ batching: { maxBatchSize: 1, maxQueueDelayMs: 0, maxQueueDepth: 8 } });
    const all = [call()];
    await gate.arrival();
    all.push(call(), call());
    await until(async () => (await depthOf(running)) === 2);
    const drained = running.server.drain();
    gate.letGo();
    assert.deepEqual((await Promise.all(all)).map(({ status }) => status), [200, 200, 200]);
    await drained;
    await running.end();
  });
});
