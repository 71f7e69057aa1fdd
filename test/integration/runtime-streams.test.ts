/** Streamed answers over real sockets: slow clients, clients that disconnect, and streams that break. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as send, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { AppError } from '../../api/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { protocolErrorBody, type Answer } from '../../runtime/call/answer.ts';
import { Counters } from '../../runtime/call/counters.ts';
import type { Call, Handler } from '../../runtime/call/handler.ts';
import { observers, type AnsweredCall } from '../../runtime/call/observer.ts';
import type { CallDeps } from '../../runtime/call/perform.ts';
import { serveBy, type HttpDeps } from '../../runtime/transport/http/exchange.ts';
import { HttpServers } from '../../runtime/transport/http/http-server.ts';
import { Transfers } from '../../runtime/transport/http/transfers.ts';
import { HandClock } from '../support/hand-clock.ts';
import { until } from '../support/runtime-process.ts';

const kib = 1024;
const chunk = Buffer.alloc(64 * kib, 'x');
const sockets: Socket[] = [];

/** The source of a stream. `made`: the number of chunks that it has sent; `isOver`: whether the stream has ended. */
class Source {
  made = 0;
  isOver = false;
  signal: AbortSignal | undefined;

  async *chunks(call: Call, next: (at: number, source: Source) => Promise<Uint8Array | undefined>) {
    this.signal = call.signal;
    try {
      for (;;) {
        const made = await next(this.made, this);
        if (made === undefined) return;
        this.made += 1;
        call.trace.produced(1);
        yield made;
      }
    } finally {
      this.isOver = true;
    }
  }
}

async function world(next: Parameters<Source['chunks']>[1], more: Partial<Answer> = {}) {
  const clock = new HandClock();
  const transfers = new Transfers({ limitBytes: () => 64 * kib * kib, clock });
  const seen: AnsweredCall[] = [];
  const counters = new Counters();
  const source = new Source();
  const handler: Handler = {
    name: 'task',
    needsRoom: true,
    handle: async (call) => {
      await call.readBody(0);
      call.trace.decoded(8);
      return { status: 200, contentType: 'text/event-stream', body: source.chunks(call, next), ...more };
    },
    errorBody: protocolErrorBody,
  };
  const calls: CallDeps = {
    admit: () => {},
    isIdle: () => true,
    expectedWaitMs: () => 0,
    ownDeadlineMs: () => 60_000,
    open: new Set(),
    observer: observers([{ answered: (call) => void seen.push(call) }, counters]),
    tellsService: false,
    clock,
    logger: silentLogger,
  };
  const http: HttpDeps = {
    routes: () => assert.fail('no path is looked up'),
    draining: () => false,
    bodyLimitBytes: () => kib,
    transfers,
  };
  const servers = await HttpServers.listen(
    { addresses: ['127.0.0.1'], port: 0, maxConnections: 8 },
    (request, response) =>
      serveBy(handler, http, { calls, tier: 'interactive' }, { request, response, path: '/stream' }),
  );
  return { clock, transfers, seen, counters, source, calls, servers };
}

type World = Awaited<ReturnType<typeof world>>;

function raw({ servers }: World, text = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'): Socket {
  const socket = connect(servers.port, '127.0.0.1').on('error', () => {});
  sockets.push(socket);
  socket.write(text);
  return socket;
}

function ask(
  { servers }: World,
  { headers = {} }: { readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly response: IncomingMessage; readonly text: () => Promise<string> }> {
  return new Promise((resolve, reject) => {
    send({ host: '127.0.0.1', port: servers.port, agent: false, headers }, (response) => {
      const text = async (): Promise<string> => {
        let whole = '';
        for await (const part of response) whole += String(part);
        return whole;
      };
      resolve({ response, text });
    })
      .on('error', reject)
      .end();
  });
}

/** Waits until the server holds no memory for the call, and checks that the call was observed once. */
async function freed({ transfers, source, calls, seen }: World): Promise<AnsweredCall> {
  await until(() => source.isOver && transfers.heldBytes === 0);
  assert.deepEqual([calls.open.size, seen.length], [0, 1]);
  return seen[0]!;
}

describe('a streamed answer', () => {
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  it('sends its head before its first chunk, and each chunk as it is made', async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const here = await world(async (at) => {
      await gates[at]?.promise;
      return at < 2 ? Buffer.from(`chunk ${at};`) : undefined;
    });
    const { response } = await ask(here);
    assert.equal(response.headers['content-length'], undefined);
    assert.equal(response.headers['content-type'], 'text/event-stream');
    const ended = once(response, 'end');
    for (const [at, gate] of gates.entries()) {
      gate.resolve();
      assert.equal(String((await once(response, 'data'))[0]), `chunk ${at};`);
    }
    await ended;
    assert.equal((await freed(here)).kind, 'Answered');
    await here.servers.close();
  });

  it('is counted with the times of its first and last byte, and the number of its units', async () => {
    const here = await world(async (at) => {
      await here.clock.advance(at < 3 ? 10 : 70);
      return at < 3 ? Buffer.from('token') : undefined;
    });
    assert.equal(await (await ask(here)).text(), 'token'.repeat(3));
    const { trace } = await freed(here);
    assert.deepEqual([trace.firstByteMs, trace.totalMs, trace.units], [10, 100, 3]);
    const [traffic] = here.counters.snapshot();
    assert.deepEqual([traffic?.ok, traffic?.sizeClass, traffic?.streamed?.units], [1, 8, 3]);
    assert.notDeepEqual(traffic?.streamed?.firstByte.counts, traffic?.latency.counts);
    await here.servers.close();
  });

  it('reads its source only as fast as the client reads, and ends a client that does not read', async () => {
    const here = await world(async () => chunk);
    raw(here).pause();
    let last = -1;
    await until(async () => {
      const [before, now] = [last, here.source.made];
      last = now;
      await new Promise((resolve) => setImmediate(resolve));
      return now > 0 && before === now && here.transfers.heldBytes > 0;
    });
    assert.ok(here.transfers.heldBytes <= 4 * chunk.length, `${here.transfers.heldBytes} bytes are held`);
    const { made } = here.source;
    await until(async () => {
      await here.clock.advance(1000);
      return here.source.isOver;
    });
    assert.ok(here.source.made <= made + 1);
    assert.equal((await freed(here)).kind, 'Abandoned');
    await here.servers.close();
  });

  it('frees its memory and aborts its source when the client disconnects', async () => {
    const here = await world(async (at, { signal }) => {
      if (at > 0) await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
      return Buffer.from('one');
    });
    const socket = raw(here);
    await once(socket, 'data');
    socket.destroy();
    assert.deepEqual([(await freed(here)).status, here.source.signal?.aborted], [499, true]);
    assert.deepEqual(here.counters.snapshot(), []);
    await here.servers.close();
  });

  it('survives a slow source: the minimum pace applies only to a client for which bytes wait', async () => {
    const gate = Promise.withResolvers<void>();
    const here = await world(async (at) => {
      if (at === 1) await gate.promise;
      return at < 2 ? Buffer.from('x') : undefined;
    });
    const { response, text } = await ask(here);
    await until(() => here.source.made === 1 && here.transfers.heldBytes === 0);
    for (let second = 0; second < 20; second += 1) await here.clock.advance(1000);
    gate.resolve();
    assert.equal(await text(), 'xx');
    assert.equal(response.complete, true);
    await here.servers.close();
  });

  const late = async (at: number, { signal }: Source): Promise<Uint8Array> => {
    if (at === 0) return Buffer.from('begin');
    await new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
    return Buffer.from('never');
  };
  const broken = async (at: number): Promise<Uint8Array> => {
    if (at === 0) return Buffer.from('begin');
    throw new AppError('ENGINE_LOST', { model: 'm' });
  };
  const told = (): Uint8Array => Buffer.from(';error');
  // prettier-ignore
  const breaks: readonly { readonly name: string; readonly next: Parameters<Source['chunks']>[1];
    readonly more?: Partial<Answer>; readonly text: string | undefined; readonly outcome: string }[] = [
    { name: 'resets its connection when its source fails', next: broken, text: undefined, outcome: 'transient' },
    { name: 'reports a failed source in its own protocol', next: broken, more: { lastChunk: told }, text: 'begin;error',
      outcome: 'transient' },
    { name: "resets its connection at the client's deadline", next: late, text: undefined, outcome: 'clientDeadline' },
    { name: "reports in its own protocol that the client's deadline has passed", next: late, more: { lastChunk: told },
      text: 'begin;error', outcome: 'clientDeadline' },
  ];
  for (const { name, next, more, text, outcome } of breaks) {
    it(name, async () => {
      const here = await world(next, more);
      const headers = next === late ? { 'x-request-timeout-ms': '1000' } : {};
      const answer = await ask(here, { headers });
      const heard = answer.text();
      heard.catch(() => {});
      await until(() => here.source.made === 1);
      await here.clock.advance(1000);
      if (text === undefined) await assert.rejects(heard, { code: 'ECONNRESET' });
      else assert.equal(await heard, text);
      const call = await freed(here);
      assert.ok(call.kind === 'Failed');
      assert.deepEqual([call.status, call.outcome], [200, outcome]);
      await here.servers.close();
    });
  }

  it('keeps its connection usable, and does not read its source for HEAD', async () => {
    const here = await world(async (at) => (at === 0 ? Buffer.from('whole') : undefined));
    const socket = raw(here, 'HEAD / HTTP/1.1\r\nhost: a\r\n\r\n');
    let heard = '';
    socket.on('data', (part: Buffer) => {
      heard += part.toString();
    });
    await until(() => heard.includes('\r\n\r\n'));
    assert.equal(here.source.made, 0);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await until(() => heard.endsWith('\r\n5\r\nwhole\r\n0\r\n\r\n'));
    assert.equal(heard.match(/^HTTP\/1\.1 200 OK\r\n/gm)?.length, 2);
    await until(() => here.seen.length === 2);
    assert.deepEqual(
      here.seen.map(({ kind, status }) => [kind, status]),
      [
        ['Answered', 200],
        ['Answered', 200],
      ],
    );
    await here.servers.close();
  });
});
