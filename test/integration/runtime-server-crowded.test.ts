/**
 * Clients that occupy what other clients need: they do not send their bodies, do not read their answers, or open too
 * many connections or pipelined requests.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import type { Answer } from '../../runtime/call/answer.ts';
import { HttpServers } from '../../runtime/transport/http/http-server.ts';
import { sendBody } from '../../runtime/transport/http/send.ts';
import { Transfers } from '../../runtime/transport/http/transfers.ts';
import { depthOf, endAll, gated, infer, until, body as small } from '../support/gated-server.ts';
import { HandClock } from '../support/hand-clock.ts';
import { ask, askRaw } from '../support/infer-client.ts';
import { makeServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

const mib = 2 ** 20;
const sockets: Socket[] = [];

function open(port: number, text = ''): { readonly socket: Socket; readonly heard: () => string } {
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  sockets.push(socket);
  let heard = '';
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  socket.write(text);
  return { socket, heard: () => heard };
}

const heldBytes = async (debugUrl: string): Promise<number> =>
  Number(/^onnx_runtime_transfer_bytes\{.*\} (\d+)$/m.exec((await ask(debugUrl, '/metrics')).body.toString())?.[1]);
const portOf = (url: string): number => Number(new URL(url).port);
const announced = `POST ${infer} HTTP/1.1\r\nhost: a\r\ncontent-length: ${64 * mib}\r\n\r\n`;

describe('model server with clients that stall', () => {
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await endAll();
  });

  it('answers others while hundreds of announced bodies do not arrive', async () => {
    const { gate, running, call } = await gated();
    gate.open = true;
    const stalled = Array.from({ length: 200 }, () => open(portOf(running.url), `${announced}{`));
    await until(() => running.server.connections >= 200);
    assert.equal((await call({ body: small })).status, 200);
    assert.equal((await ask(running.url, '/v2/health/ready')).status, 200);
    assert.equal(
      stalled.every(({ heard }) => heard() === ''),
      true,
    );
    for (const { socket } of stalled) socket.destroy();
    await running.end();
  });

  it('frees memory for others when stalled bodies use up the budget', async () => {
    const clock = new HandClock();
    const { gate, running, call } = await gated(
      {},
      { clock, memoryLimitBytes: 128 * mib, readMemory: () => Promise.resolve('RssAnon: 8192 kB') },
    );
    gate.open = true;
    // Large bodies may use 19.35 MiB, which is three quarters of the budget of 25.8 MiB.
    const stalled = open(portOf(running.url), announced.replace(String(64 * mib), String(18 * mib)));
    stalled.socket.write(Buffer.alloc(17 * mib));
    await until(async () => (await heldBytes(running.debugUrl)) === 17 * mib);
    const large = (): ReturnType<typeof call> => call({ body: Buffer.alloc(4 * mib, ' ') });
    assert.equal((await large()).status, 429);
    await clock.advance(2000);
    assert.notEqual((await large()).status, 429);
    await until(() => stalled.heard() !== '');
    assert.match(stalled.heard(), /^HTTP\/1\.1 408 .*x-error-code: BODY_TOO_SLOW.*connection: close/is);
    await running.end();
  });

  it('ends a body that makes no progress for five seconds', async () => {
    const clock = new HandClock();
    const { running } = await gated({}, { clock });
    const stalled = open(portOf(running.url), `${announced}{`);
    const chunked = open(
      portOf(running.url),
      `POST ${infer} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n`,
    );
    await until(() => clock.pending > 1);
    await until(async () => {
      await clock.advance(1000);
      return [stalled, chunked].every(({ heard }) => heard().startsWith('HTTP/1.1 408'));
    });
    await until(() => [stalled, chunked].every(({ socket }) => socket.closed));
    await running.end();
  });

  it('closes idle connections when new ones need room', async () => {
    const running = await makeServer({ model: matmul(), options: { maxConnections: 8 } });
    const held = Array.from({ length: 30 }, (_, index) =>
      open(portOf(running.url), index % 2 === 0 ? '' : 'GET /v2 HTTP/1.1\r\nhost'),
    );
    await until(() => held.filter(({ socket }) => socket.closed).length >= 20);
    for (let count = 0; count < 20; count += 1) assert.equal((await ask(running.url, '/v2/health/live')).status, 200);
    assert.equal((await ask(running.debugUrl, '/metrics')).status, 200);
    for (const { socket } of held) socket.destroy();
    await running.end();
  });

  it('refuses a connection with too many pipelined requests', async () => {
    const { gate, running } = await gated();
    const text = askRaw(
      portOf(running.url),
      `POST ${infer} HTTP/1.1\r\nhost: a\r\ncontent-length: ${Buffer.byteLength(small)}\r\n\r\n${small}`.repeat(30),
    );
    // One batch runs, and the next 8 requests wait in the queue.
    await until(async () => (await depthOf(running)) === 8);
    gate.letGo();
    const statuses = [...(await text).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, [...Array<string>(16).fill('200'), '429']);
    await running.end();
  });
});

describe('sendBody', () => {
  async function world(bytes: number) {
    const clock = new HandClock();
    const transfers = new Transfers({ limitBytes: () => 64 * mib, clock });
    const ended = Promise.withResolvers<boolean>();
    const servers = await HttpServers.listen(
      { addresses: ['127.0.0.1'], port: 0, maxConnections: 8 },
      async (_request, response) => {
        response.on('close', () => ended.resolve(response.writableFinished));
        const answer: Answer = {
          status: 200,
          contentType: 'text/plain',
          body: { chunks: ['begin', new Uint8Array(bytes)], bytes: bytes + 5 },
        };
        response.writeHead(200, { 'content-length': bytes + 5 });
        sendBody(response, answer.body, transfers);
      },
    );
    return { clock, transfers, servers, ended: ended.promise };
  }

  it('ends a connection whose client does not read, and frees its memory', async () => {
    const { clock, transfers, servers, ended } = await world(32 * mib);
    const socket = connect(servers.port, '127.0.0.1').on('error', () => {});
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await until(() => transfers.heldBytes === 32 * mib + 5);
    let finished: boolean | undefined;
    void ended.then((value) => {
      finished = value;
    });
    await until(async () => {
      await clock.advance(1000);
      return finished !== undefined;
    });
    assert.deepEqual([finished, transfers.heldBytes], [false, 0]);
    socket.destroy();
    await servers.close();
  });

  it('writes a large answer completely and in order', async () => {
    const { transfers, servers, ended } = await world(5 * mib);
    const seen = await ask(`http://127.0.0.1:${servers.port}`, '/');
    assert.deepEqual([seen.body.length, seen.body.subarray(0, 6).toString()], [5 * mib + 5, 'begin\0']);
    assert.equal(await ended, true);
    assert.equal(transfers.heldBytes, 0);
    await servers.close();
  });
});
