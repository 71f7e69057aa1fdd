/** HTTP sockets: listening, limits per connection, and closing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request as send, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { AppError } from '../../../../../api/errors.ts';
import { HttpServers, type HttpHandler } from '../../../../../runtime/transport/http/http-server.ts';
import { HandClock } from '../../../../support/hand-clock.ts';

const listen = (handler: HttpHandler, addresses = ['127.0.0.1'], port = 0) =>
  HttpServers.listen({ addresses, port, maxConnections: 8 }, handler);
const quick: HttpHandler = async (_request, response) => {
  response.end('ok');
};

function get(port: number, agent: Agent | false, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    send({ host, port, agent }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}

describe('HttpServers', () => {
  it('listens at several addresses, on one port', async () => {
    const servers = await listen(quick, ['127.0.0.1', '127.0.0.2']);
    assert.deepEqual([await get(servers.port, false), await get(servers.port, false, '127.0.0.2')], ['ok', 'ok']);
    await servers.close();
  });

  const floods: readonly { readonly name: string; readonly request: string }[] = [
    { name: 'requests', request: 'GET / HTTP/1.1\r\nhost: x\r\n\r\n' },
    { name: 'requests without a host', request: 'GET / HTTP/1.1\r\n\r\n' },
    { name: 'requests that expect something unknown', request: 'GET / HTTP/1.1\r\nhost: x\r\nexpect: more\r\n\r\n' },
  ];
  for (const { name, request } of floods) {
    it(`closes a connection that sends very many ${name} without reading answers`, async () => {
      const responses = new Set<ServerResponse>();
      const servers = await listen(async (_request, response) => {
        responses.add(response);
      });
      const socket = connect(servers.port, '127.0.0.1');
      socket
        .on('error', () => {})
        .resume()
        .write(request.repeat(1000));
      await once(socket, 'close');
      assert.ok(responses.size <= 32, `${responses.size} requests were handled`);
      assert.equal(servers.connections, 0);
      await servers.close();
    });
  }

  it('closes the response of every pipelined request when the connection is closed', async () => {
    let open = 0;
    const came = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const servers = await listen(async (_request, response) => {
      open += 1;
      if (open === 3) came.resolve();
      response.on('close', () => {
        open -= 1;
        if (open === 0) gone.resolve();
      });
      if (open > 1) response.end('behind the first');
    });
    const socket = connect(servers.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(3));
    await came.promise;
    socket.destroy();
    await gone.promise;
    assert.equal(open, 0);
    await servers.close();
  });

  it('answers the first request above the pipeline limit with 429, after the answers before it', async () => {
    const servers = await listen(async (_request, response) => {
      setImmediate(() => response.end('ok'));
    });
    const socket = connect(servers.port, '127.0.0.1');
    let text = '';
    socket
      .on('data', (chunk: Buffer) => {
        text += chunk.toString();
      })
      .write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(20));
    await once(socket, 'close');
    assert.deepEqual([text.split('200 OK').length - 1, text.split('429 Too Many').length - 1], [16, 1]);
    await servers.close();
  });

  describe('quiet', () => {
    const bounds = { quietMs: 5000, mostMs: 50_000 };
    async function draining(hurry?: AbortSignal) {
      const clock = new HandClock();
      const servers = await HttpServers.listen(
        { addresses: ['127.0.0.1'], port: 0, maxConnections: 8, clock, isProbe: (url) => url === '/probe' },
        quick,
      );
      let over = false;
      const ended = servers.quiet(bounds, hurry).then(() => {
        over = true;
      });
      return { clock, servers, ended, isOver: () => over };
    }

    it('resolves when no request has arrived for quietMs', async () => {
      const { clock, servers, ended, isOver } = await draining();
      for (let second = 0; second < 12; second += 4) {
        await clock.advance(4000);
        assert.equal(await get(servers.port, false), 'ok');
      }
      await clock.advance(4999);
      assert.equal(isOver(), false);
      await clock.advance(1);
      await ended;
      await servers.close();
    });

    it('resolves after mostMs although requests still arrive', async () => {
      const { clock, servers, ended, isOver } = await draining();
      for (let second = 0; second < 48; second += 4) {
        await clock.advance(4000);
        assert.equal(await get(servers.port, false), 'ok');
      }
      await clock.advance(1999);
      assert.equal(isOver(), false);
      await clock.advance(1);
      await ended;
      await servers.close();
    });

    it('waits for a new connection without a request yet, but not for probes', async () => {
      const { clock, servers, ended, isOver } = await draining();
      await clock.advance(3000);
      const socket = connect(servers.port, '127.0.0.1');
      await once(socket, 'connect');
      while (servers.connections === 0) await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(2000);
      assert.equal(isOver(), false);
      socket.write('GET /probe HTTP/1.1\r\nHost: a\r\n\r\n');
      await once(socket, 'data');
      await clock.advance(3000);
      await ended;
      socket.destroy();
      await servers.close();
    });

    it('resolves at once when hurry is aborted', async () => {
      const hurry = new AbortController();
      const { servers, ended } = await draining(hurry.signal);
      hurry.abort();
      await ended;
      await servers.close();
    });
  });

  it('rejects with PORT_TAKEN, and closes the sockets that it had opened', async () => {
    const first = await listen(quick, ['127.0.0.2']);
    await assert.rejects(
      listen(quick, ['127.0.0.1', '127.0.0.2'], first.port),
      (error: unknown) => error instanceof AppError && error.code === 'PORT_TAKEN',
    );
    const again = await listen(quick, ['127.0.0.1'], first.port);
    await Promise.all([first.close(), again.close()]);
  });

  it('rejects with BAD_CONFIG for an address that this machine does not have', async () => {
    await assert.rejects(
      listen(quick, ['192.0.2.1']),
      (error: unknown) => error instanceof AppError && error.code === 'BAD_CONFIG',
    );
  });

  it('closes keep-alive connections, both idle ones and those that were busy when closing began', async () => {
    const agent = new Agent({ keepAlive: true });
    let answer: (response: ServerResponse) => void = () => {};
    const asked = new Promise<ServerResponse>((resolve) => {
      answer = resolve;
    });
    const servers = await listen(async (request, response) => {
      if (request.url === '/' && servers.connections === 1) response.end('ok');
      else answer(response);
    });
    assert.equal(await get(servers.port, agent), 'ok');
    const [busy] = [get(servers.port, new Agent({ keepAlive: true })), await asked];
    const closed = servers.close();
    (await asked).end('late');
    assert.equal(await busy, 'late');
    await closed;
    assert.equal(servers.connections, 0);
    agent.destroy();
  });
});

describe('HttpServers with clients that violate HTTP or the limits', () => {
  const brokenBody = '5\r\nhello\r\nno number\r\n';
  const post = 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n';

  /** Connects a client that never closes its side of the connection. */
  function call(port: number): { readonly socket: Socket; readonly text: () => string } {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    return { socket, text: () => text };
  }

  const statusesIn = (text: string): string[] =>
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? '');

  const refusals: readonly { readonly name: string; readonly headers: string; readonly says: RegExp }[] = [
    {
      name: 'answers 400 with a message when the Host header is missing',
      headers: 'content-length: 0',
      says: /^HTTP\/1\.1 400 .*content-length: \d+.*"error":"the Host header is missing/s,
    },
    {
      name: 'answers 417 with a message when an expectation is not supported',
      headers: 'host: a\r\nexpect: 200-ok',
      says: /^HTTP\/1\.1 417 .*content-length: \d+.*"error":"Expect: 200-ok is not supported/s,
    },
  ];
  for (const { name, headers, says } of refusals) {
    it(name, async () => {
      const servers = await listen(quick);
      const { socket, text } = call(servers.port);
      socket.write(`POST / HTTP/1.1\r\n${headers}\r\n\r\n`);
      await once(socket, 'end');
      assert.match(text(), says);
      socket.destroy();
      await servers.close();
    });
  }

  it('answers an invalid body with an error, and closes although the client does not', async () => {
    const clock = new HandClock();
    const left = Promise.withResolvers<void>();
    const servers = await HttpServers.listen(
      { addresses: ['127.0.0.1'], port: 0, maxConnections: 8, clock, stalledMs: 1000 },
      async (request, response) => {
        response.on('close', left.resolve);
        request.resume();
      },
    );
    const { socket, text } = call(servers.port);
    socket.write(post + brokenBody);
    await once(socket, 'end');
    assert.match(text(), /^HTTP\/1\.1 400 .*"this is not an HTTP request: /s);
    assert.equal(servers.connections, 1);
    await clock.advance(5000);
    await left.promise;
    await servers.close();
    assert.equal(servers.connections, 0);
    socket.destroy();
  });

  it('answers a valid request before the error of the data behind it', async () => {
    const asked = Promise.withResolvers<ServerResponse>();
    const servers = await listen(async (_request, response) => asked.resolve(response));
    const { socket, text } = call(servers.port);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n\u0001\r\n\r\n');
    const response = await asked.promise;
    // Wait one turn of the event loop. The invalid data is in the same packet as the request, so the parser has read it
    // after that turn.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    response.end('good');
    await once(socket, 'end');
    assert.deepEqual(statusesIn(text()), ['200', '400']);
    socket.destroy();
    await servers.close();
  });

  it('sends no second answer when the body of an answered request turns out invalid', async () => {
    const clock = new HandClock();
    const servers = await HttpServers.listen(
      { addresses: ['127.0.0.1'], port: 0, maxConnections: 8, clock, stalledMs: 1000 },
      async (_request, response) => {
        response.writeHead(404).end('none');
      },
    );
    const { socket, text } = call(servers.port);
    socket.write(post);
    await once(socket, 'data');
    socket.write(brokenBody);
    while (clock.pending === 0)
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    await clock.advance(5000);
    await servers.close();
    assert.deepEqual(statusesIn(text()), ['404']);
    socket.destroy();
  });

  it('closes the connection of a client that does not read its answer', async () => {
    const left = Promise.withResolvers<boolean>();
    const servers = await HttpServers.listen(
      { addresses: ['127.0.0.1'], port: 0, maxConnections: 8, stalledMs: 20 },
      async (_request, response) => {
        response.on('close', () => left.resolve(response.writableFinished));
        response.end(Buffer.alloc(64 << 20));
      },
    );
    const socket = connect({ port: servers.port, host: '127.0.0.1' }).on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    assert.equal(await left.promise, false);
    socket.destroy();
    await servers.close();
  });
});
