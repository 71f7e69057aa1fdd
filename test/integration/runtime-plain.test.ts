/**
 * Plain requests (small POSTs in the usual form) are answered without node:http, with the same answers that node:http
 * writes. The server hands every other request over to node:http.
 */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { depthOf, endAll, gated, infer, until, body as small } from '../support/gated-server.ts';
import { HandClock } from '../support/hand-clock.ts';
import { ask, binaryBody, inputOf, jsonOf } from '../support/infer-client.ts';
import { makeServer, startServer, type RunningServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

type Client = { readonly socket: Socket; readonly heard: () => string };
const clients: Client[] = [];

/** @param allowHalfOpen whether the client leaves its side open when the server closes */
function open(running: RunningServer, allowHalfOpen = false): Client {
  const port = Number(new URL(running.url).port);
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen }).on('error', () => {});
  let heard = '';
  socket.setNoDelay(true).on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  const client = { socket, heard: () => heard };
  clients.push(client);
  return client;
}

type Sent = {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

function bytesOf({ path = infer, headers = {}, body }: Sent): Buffer {
  const lines = Object.entries({ host: 'a', 'content-length': String(Buffer.byteLength(body)), ...headers });
  const head = `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

const answersIn = (heard: string): number => [...heard.matchAll(/HTTP\/1\.1 \d+ /g)].length;

/** The answers to requests that are sent one after the other on one connection. */
async function answersTo(running: RunningServer, ...requests: readonly Sent[]): Promise<string> {
  const client = open(running);
  for (const [index, request] of requests.entries()) {
    client.socket.write(bytesOf(request));
    await until(() => answersIn(client.heard()) > index && isWhole(client.heard()));
  }
  client.socket.destroy();
  return client.heard();
}

/**
 * Resolves when the server has read the bytes that were sent before this call: it reads its sockets in the order in
 * which bytes arrive, so it reads this new request last.
 */
async function read(running: RunningServer): Promise<void> {
  await ask(running.url, '/v2/health/live');
}

/** Whether the last answer is complete. */
function isWhole(heard: string): boolean {
  const last = heard.slice(heard.lastIndexOf('HTTP/1.1 '));
  const end = last.indexOf('\r\n\r\n');
  return end >= 0 && last.length - end - 4 >= Number(/\r\ncontent-length: (\d+)/i.exec(last)?.[1]);
}

/** Answers without what differs from run to run: times, dates, ids, and the length of a message with a time. */
const settled = (heard: string): string =>
  heard
    .replace(/dur=[\d.]+/g, 'dur=')
    .replace(/Content-Length: \d+(?=[^]*?\b\d+ ms\b)/gi, 'Content-Length:')
    .replace(/\b\d+ ms\b/g, 'N ms')
    .replace(/^Date: .*$/gm, 'Date:')
    .replace(/: r-[\w-]+/g, ': r-');

const good = binaryBody(
  { inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } }] },
  new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer),
);
const versioned = '/v2/models/m/versions/6c9f01ab2d/infer';

describe('plain requests', () => {
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) socket.destroy();
    await endAll();
  });

  // prettier-ignore
  const same: readonly { readonly name: string; readonly request: Sent; readonly status: number }[] = [
    { name: 'JSON', request: { body: small }, status: 200 },
    { name: "JSON at a path with the model's version", request: { path: versioned, body: small }, status: 200 },
    { name: 'binary data', request: good, status: 200 },
    { name: 'a request id', request: { headers: { 'X-Request-ID': 'abc' }, body: small }, status: 200 },
    { name: 'a large answer', request: { body: JSON.stringify({
        inputs: [inputOf(Array.from({ length: 20_000 }, () => 1.5), { shape: [5000, 4] })] }) }, status: 200 },
    { name: 'text that is not JSON', request: { body: 'nothing' }, status: 400 },
    { name: 'an empty body', request: { body: '' }, status: 400 },
    { name: 'an unknown output', request: { body: JSON.stringify({ inputs: [inputOf([1, 2, 3, 4])],
        outputs: [{ name: 'z' }] }) }, status: 400 },
    { name: 'a header that is not a number',
      request: { headers: { 'inference-header-content-length': 'x' }, body: small }, status: 400 },
    { name: 'an invalid deadline', request: { headers: { 'x-request-timeout-ms': '-1' }, body: small }, status: 400 },
    { name: 'a deadline that has passed', request: { headers: { 'x-request-timeout-ms': '1e-9' }, body: small },
      status: 504 },
    { name: 'another model', request: { path: '/v2/models/other/infer', body: small }, status: 404 },
    { name: 'a path that is not for inference', request: { path: '/v2/repository/index', body: '' }, status: 200 },
  ];
  for (const { name, request, status } of same)
    it(`have the answer that node:http writes, byte by byte: ${name}`, async () => {
      const running = await startServer({ model: matmul() });
      const plain = settled(await answersTo(running, request, request));
      // A request with the header TE is not plain, so node:http answers it.
      const usual = { ...request, headers: { ...request.headers, te: 'trailers' } };
      assert.equal(plain, settled(await answersTo(running, usual, usual)));
      assert.match(plain, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*HTTP/1\\.1 ${status} `));
    });

  it('have the answer of node:http before the model is loaded', async () => {
    const running = await makeServer({ model: matmul() });
    const plain = settled(await answersTo(running, { body: small }, { body: small }));
    assert.equal(
      plain,
      settled(await answersTo(running, { headers: { te: 'trailers' }, body: small }, { body: small })),
    );
    assert.match(plain, /^HTTP\/1\.1 503 /);
  });

  it('may arrive in pieces', async () => {
    const running = await startServer({ model: matmul() });
    const client = open(running);
    const bytes = bytesOf(good);
    for (const [from, to] of [[0, bytes.length - 20], [bytes.length - 20, bytes.length - 3], [bytes.length - 3]]) {
      client.socket.write(bytes.subarray(from, to));
      await read(running);
    }
    await until(() => answersIn(client.heard()) === 1);
    assert.match(client.heard(), /^HTTP\/1\.1 200 /);
  });

  it('are handed over to node:http with the bytes so far when the rest does not arrive', async () => {
    const clock = new HandClock();
    const { gate, running } = await gated({}, { clock });
    gate.open = true;
    const client = open(running);
    const bytes = bytesOf({ body: small });
    client.socket.write(bytes.subarray(0, -5));
    await until(async () => {
      await clock.advance(1000);
      return /transfer_bytes\{.*\} [1-9]/.test((await ask(running.debugUrl, '/metrics')).body.toString());
    });
    client.socket.write(bytes.subarray(-5));
    await until(() => answersIn(client.heard()) === 1);
    assert.match(client.heard(), /^HTTP\/1\.1 200 /);
  });

  it('are answered in their order on a connection', async () => {
    const { gate, running } = await gated();
    const client = open(running);
    const numbered = (id: string): Sent => ({ headers: { 'x-request-id': id }, body: small });
    const arrival = gate.arrival();
    client.socket.write(bytesOf(numbered('first')));
    await arrival;
    client.socket.write(bytesOf(numbered('second')));
    await read(running);
    client.socket.write(bytesOf(numbered('third')));
    await read(running);
    gate.letGo();
    await until(() => answersIn(client.heard()) === 3);
    assert.deepEqual(
      [...client.heard().matchAll(/x-request-id: (\w+)/g)].map(([, id]) => id),
      ['first', 'second', 'third'],
    );
  });

  it('are dropped and not counted when their client disconnects', async () => {
    const { gate, running } = await gated();
    const arrival = gate.arrival();
    const first = open(running);
    first.socket.write(bytesOf({ body: small }));
    await arrival;
    const queued = open(running);
    queued.socket.write(bytesOf({ body: small }));
    await until(async () => (await depthOf(running)) === 1);
    queued.socket.destroy();
    await until(async () => (await depthOf(running)) === 0);
    first.socket.end();
    await until(() => first.socket.closed);
    gate.letGo();
    const { traffic } = jsonOf(await ask(running.debugUrl, '/counters')) as { traffic: readonly unknown[] };
    assert.deepEqual(traffic, []);
  });

  it('close an idle connection after the time that their answers announce', async () => {
    const clock = new HandClock();
    const { gate, running } = await gated({}, { clock });
    gate.open = true;
    const client = open(running);
    client.socket.write(bytesOf({ body: small }));
    await until(() => answersIn(client.heard()) === 1);
    assert.match(client.heard(), /Keep-Alive: timeout=75\r\n/);
    await clock.advance(74_000);
    client.socket.write(bytesOf({ body: small }));
    await until(() => answersIn(client.heard()) === 2);
    await clock.advance(74_000);
    assert.equal(client.socket.closed, false);
    await clock.advance(3000);
    await until(() => client.socket.closed);
  });

  it('are answered with `connection: close` while the server drains', async () => {
    const { gate, running } = await gated();
    const client = open(running);
    const arrival = gate.arrival();
    client.socket.write(bytesOf({ body: small }));
    await arrival;
    const drained = running.server.drain();
    gate.letGo();
    await until(() => client.socket.closed);
    assert.match(client.heard(), /^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\nDate: .*\r\n\r\n/);
    await drained;
  });

  it("do not delay the server's end when their client does not close its side", async () => {
    const { gate, running } = await gated();
    const client = open(running, true);
    const arrival = gate.arrival();
    client.socket.write(bytesOf({ body: small }));
    await arrival;
    const drained = running.server.drain();
    gate.letGo();
    await drained;
    await running.end();
    assert.match(client.heard(), /^HTTP\/1\.1 200 /);
  });

  it('are answered when one part arrives before the server begins to close', async () => {
    const { gate, running } = await gated();
    gate.open = true;
    const client = open(running);
    const bytes = bytesOf({ body: small });
    client.socket.write(bytes.subarray(0, -5));
    await read(running);
    const ended = running.end();
    client.socket.write(bytes.subarray(-5));
    await until(() => client.socket.closed);
    assert.match(client.heard(), /^HTTP\/1\.1 200 [\s\S]*\r\nconnection: close\r\n/i);
    await ended;
  });

  it('of a client that does not read take little memory, and are answered in order once it reads', async () => {
    const { gate, running } = await gated({ batching: { maxBatchSize: 8000, maxQueueDelayMs: 0, maxQueueDepth: 64 } });
    gate.open = true;
    const client = open(running);
    client.socket.pause();
    // Each answer has 32 KB, so that the unread answers soon fill the kernel's buffers.
    const ones = Array.from({ length: 32_000 }, () => 1);
    const body = JSON.stringify({ inputs: [inputOf(ones, { shape: [8000, 4] })] });
    const ids: string[] = [];
    const answered = async (): Promise<number> => {
      const { body: text } = await ask(running.debugUrl, '/metrics');
      return Number(/onnx_runtime_requests_total\{.*\} (\d+)\n/.exec(text.toString())?.[1] ?? 0);
    };
    let polls = 0;
    while (polls < 100 && ids.length < 1000) {
      const id = `${ids.length}`;
      ids.push(id);
      client.socket.write(bytesOf({ headers: { 'x-request-id': id }, body }));
      // Poll until the request is answered. After about a hundred requests, too many answers wait for the client, so
      // the server stops reading, and the polls reach 100. They must take less than 5 s: then it closes the connection.
      for (polls = 0; polls < 100 && (await answered()) < ids.length; polls += 1);
    }
    const { body: metrics } = await ask(running.debugUrl, '/metrics');
    const bytes = Number(/onnx_runtime_transfer_bytes\{.*\} (\d+)\n/.exec(metrics.toString())?.[1]);
    assert.ok(bytes < 2 ** 20, `${bytes} bytes`);
    client.socket.resume();
    await until(() => client.heard().includes(`x-request-id: ${ids.at(-1) ?? ''}\r\n`));
    assert.deepEqual(
      [...client.heard().matchAll(/HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*?x-request-id: (\d+)/g)].map(([, id]) => id),
      ids,
    );
  });

  it('release the memory that was charged for them', async () => {
    const running = await startServer({ model: matmul() });
    await answersTo(running, ...Array.from({ length: 20 }, () => good));
    assert.match((await ask(running.debugUrl, '/metrics')).body.toString(), /onnx_runtime_transfer_bytes\{.*\} 0\n/);
  });
});
