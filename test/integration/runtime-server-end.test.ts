/** Stopping a model server: every request gets its answer. */
import assert from 'node:assert/strict';
import { Agent, request as send } from 'node:http';
import { connect } from 'node:net';
import { body, depthOf, endAll, gated, infer, until } from '../support/gated-server.ts';
import { ask } from '../support/infer-client.ts';

describe('model server that stops', () => {
  afterEach(endAll);

  it('loses no request: it first becomes unready, then closes connections, then the engine', async () => {
    const { gate, running } = await gated({}, { drainMs: 60_000 });
    gate.open = true;
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const statuses: number[] = [];
    const closing: string[] = [];
    let stop = false;
    const client = async (): Promise<void> => {
      while (!stop) {
        await new Promise<void>((resolve) => {
          const request = send(
            new URL(infer, running.url),
            { method: 'POST', agent, headers: { 'content-length': body.length } },
            (response) => {
              response.resume().on('end', () => {
                statuses.push(response.statusCode ?? 0);
                closing.push(response.headers.connection ?? '');
                resolve();
              });
            },
          );
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
    // Act as a load balancer: send until readiness fails, then stop.
    await until(async () => (await ask(running.url, '/v2/health/ready')).status === 503);
    assert.equal((await ask(running.url, '/v2/health/live')).status, 200);
    stop = true;
    await Promise.all(clients);
    learned.abort();
    await draining;
    agent.destroy();
    assert.deepEqual(
      statuses.filter((status) => status !== 200),
      [],
    );
    assert.ok(closing.includes('close'), 'clients are told to close');
    await assert.rejects(ask(running.url, '/v2/health/live'), /ECONNREFUSED/);
    await running.end();
  });

  it('does not reset late clients: it continues until there were no requests for a while', async () => {
    const { gate, running } = await gated({}, { drainMs: 300 });
    gate.open = true;
    const beganAt = performance.now();
    let ended = false;
    const draining = running.server.drain().then(() => {
      ended = true;
    });
    const statuses: number[] = [];
    let askedAt = beganAt;
    // Send requests, each on a new connection, for 900 ms, which is longer than `drainMs`.
    while (askedAt - beganAt < 900) {
      askedAt = performance.now();
      statuses.push((await ask(running.url, infer, { body })).status);
    }
    assert.deepEqual([statuses.filter((status) => status !== 200), ended], [[], false]);
    await draining;
    assert.ok(performance.now() - askedAt >= 299, 'it waited until it was quiet');
    await assert.rejects(ask(running.url, '/v2/health/live'), /ECONNREFUSED/);
    await running.end();
  });

  it('does not wait for connections without a request', async () => {
    const { running } = await gated();
    const silent = connect(running.server.port, '127.0.0.1');
    await new Promise((resolve) => silent.on('connect', resolve));
    const ended = new Promise((resolve) => silent.on('close', resolve));
    await ask(running.url, '/v2/health/live');
    await running.end();
    await ended;
  });

  it('answers queued requests before it ends', async () => {
    const { gate, running, call } = await gated({
      batching: { maxBatchSize: 1, maxQueueDelayMs: 0, maxQueueDepth: 8 },
    });
    const all = [call()];
    await gate.arrival();
    all.push(call(), call());
    await until(async () => (await depthOf(running)) === 2);
    const drained = running.server.drain();
    gate.letGo();
    assert.deepEqual(
      (await Promise.all(all)).map(({ status }) => status),
      [200, 200, 200],
    );
    await drained;
    await running.end();
  });
});
