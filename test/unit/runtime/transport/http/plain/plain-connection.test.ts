/**
 * The connection of plain requests (small POSTs that are answered without node:http): when it starts a request, how
 * much memory it charges for one, and when it closes its socket or hands it over to node:http.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { PlainConnection } from '../../../../../../runtime/transport/http/plain/plain-connection.ts';
import { Transfers } from '../../../../../../runtime/transport/http/transfers.ts';
import { HandClock, settle } from '../../../../../support/hand-clock.ts';

/** A socket whose client reads when the test says so, and never closes its side. */
class FakeSocket extends Duplex {
  reads = true;
  #go: (() => void) | undefined;

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.reads) done();
    else this.#go = done;
  }

  /** Works as in net.Socket: destroys the socket when all data is written. */
  destroySoon(): void {
    this.end(() => this.destroy());
  }

  letRead(): void {
    this.reads = true;
    this.#go?.();
  }
}

type Begun = { readonly body: string; readonly abortCount: () => number };

function world(limitBytes = 2 ** 20, serverCloses = false) {
  const clock = new HandClock();
  const transfers = new Transfers({ limitBytes: () => limitBytes, clock });
  const socket = new FakeSocket();
  const begun: Begun[] = [];
  const bodies: Uint8Array[] = [];
  const handed: (string | undefined)[] = [];
  let headsRead = 0;
  let closedCount = 0;
  const connection = new PlainConnection(socket as unknown as Socket, {
    takes: () => {
      headsRead += 1;
      return true;
    },
    begin: (_head, body) => {
      let aborts = 0;
      bodies.push(body);
      begun.push({ body: Buffer.from(body).toString(), abortCount: () => aborts });
      return () => void (aborts += 1);
    },
    ended: () => serverCloses,
    handOver: (_socket, bytes) => void handed.push(bytes?.toString()),
    closed: () => void (closedCount += 1),
    lease: () => transfers.lease(),
    nowMs: () => clock.monotonic(),
  });
  const send = async (...pieces: readonly string[]): Promise<void> => {
    for (const piece of pieces) socket.emit('data', Buffer.from(piece));
    await settle();
  };
  const look = (laterMs: number): void =>
    connection.look(clock.monotonic() + laterMs, { keepAliveMs: 75_000, stalledMs: 60_000 });
  return { clock, transfers, socket, begun, bodies, handed, connection, send, look, closed: () => closedCount };
}

const request = (body: string): string =>
  `POST /v2/models/m/infer HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

describe('PlainConnection', () => {
  it('begins a request that arrives in pieces, and charges the pieces until then', async () => {
    const { transfers, begun, handed, send } = world();
    const whole = request('abcdef');
    await send(whole.slice(0, -4), whole.slice(-4, -3));
    assert.equal(transfers.heldBytes, whole.length - 3);
    await send(whole.slice(-3));
    assert.deepEqual([begun.map(({ body }) => body), handed, transfers.heldBytes], [['abcdef'], [], 0]);
  });

  it('begins a large request that arrives in very many pieces', async () => {
    const { transfers, begun, handed, send } = world(2 ** 21);
    const body = Array.from({ length: 600 }, (_, index) => String(index).padEnd(1000, '.')).join('');
    const whole = request(body);
    const pieces = Array.from({ length: Math.ceil(whole.length / 1448) }, (_, at) =>
      whole.slice(at * 1448, (at + 1) * 1448),
    );
    await send(...pieces);
    assert.deepEqual([begun.length, begun[0]?.body === body, handed, transfers.heldBytes], [1, true, [], 0]);
  });

  it('hands over a part of a large request, with all its bytes', async () => {
    const { transfers, begun, handed, send, look } = world();
    const whole = request('abc'.repeat(200_000)).slice(0, -5);
    await send(whole.slice(0, 1000), whole.slice(1000, 300_000), whole.slice(300_000));
    look(1000);
    assert.deepEqual([begun.length, handed[0] === whole, transfers.heldBytes], [0, true, 0]);
  });

  it('aligns the binary data of a request in pieces', async () => {
    for (const more of ['', 'x', 'xy', 'xyzuvwt']) {
      const { bodies, send } = world();
      const head = `POST /a HTTP/1.1\r\nhost: ${more}\r\ninference-header-content-length: 3\r\n`;
      await send(`${head.replace('host: \r', 'host: a\r')}content-length: 5\r\n\r\n{`, ' }', 'ab');
      assert.equal(((bodies[0]?.byteOffset ?? 1) + 3) % 8, 0);
    }
  });

  it('hands over a request for which there is no memory', async () => {
    const { transfers, handed, send } = world(100);
    transfers.lease().take(90);
    await send(request('abc').slice(0, -1));
    assert.deepEqual([handed, transfers.heldBytes], [[request('abc').slice(0, -1)], 90]);
  });

  it('charges bytes that arrive before the answer, until it hands them over', async () => {
    const { transfers, socket, handed, connection, send } = world();
    await send(request('a'), request('b'));
    assert.deepEqual([transfers.heldBytes, socket.isPaused()], [request('b').length, false]);
    connection.answered(false);
    assert.deepEqual([handed, transfers.heldBytes], [[request('b')], 0]);
  });

  const floods: readonly { readonly name: string; readonly limitBytes?: number; readonly pieces: string[] }[] = [
    { name: 'many bytes arrive', pieces: ['a'.repeat(65_537)] },
    { name: 'many pieces arrive', pieces: Array.from({ length: 64 }, () => 'a') },
    { name: 'bytes arrive for which there is no memory', limitBytes: 100, pieces: ['a'.repeat(50)] },
  ];
  for (const { name, limitBytes, pieces } of floods)
    it(`reads no more when ${name} before the answer`, async () => {
      const { transfers, socket, send } = world(limitBytes);
      transfers.lease().take(90);
      await send(request('a'), ...pieces);
      assert.deepEqual([socket.isPaused(), transfers.heldBytes], [true, 90 + pieces.join('').length]);
      socket.destroy();
      await settle();
      assert.equal(transfers.heldBytes, 90);
    });

  it('hands over the next request of a client that has not read its answer', async () => {
    const { socket, begun, handed, connection, send } = world();
    await send(request('a'));
    socket.reads = false;
    socket.write('answer');
    connection.answered(false);
    await send(request('b'));
    assert.deepEqual([begun.length, handed], [1, [request('b')]]);
  });

  it('closes after the last answer, though the client does not close its side', async () => {
    const { socket, connection, send, closed } = world();
    await send(request('a'));
    connection.answered(true);
    await settle();
    assert.deepEqual([socket.destroyed, closed()], [true, 1]);
  });

  it('closes after the last answer when it does not read any more', async () => {
    const { socket, connection, send, look } = world();
    await send(request('a'), 'a'.repeat(70_000));
    socket.destroySoon = () => {};
    connection.answered(true);
    look(0);
    assert.ok(socket.destroyed);
  });

  it('closes a client that does not read its last answer', async () => {
    const { socket, connection, send, look } = world();
    await send(request('a'));
    socket.reads = false;
    socket.write('answer');
    connection.answered(true);
    look(60_000);
    assert.ok(!socket.destroyed);
    look(60_001);
    assert.ok(socket.destroyed);
  });

  describe('when the server closes', () => {
    it('closes while nothing is held', async () => {
      const { socket, handed, connection } = world();
      connection.close();
      await settle();
      assert.deepEqual([socket.destroyed, handed], [true, []]);
    });

    it('hands over a part of a request', async () => {
      const { socket, handed, connection, send } = world();
      await send(request('abc').slice(0, -1));
      connection.close();
      await settle();
      assert.deepEqual([socket.destroyed, handed], [false, [request('abc').slice(0, -1)]]);
    });

    it('sends the answer that waits, and then closes', async () => {
      const { socket, connection, send } = world();
      await send(request('a'));
      socket.reads = false;
      socket.write('answer');
      connection.answered(false);
      connection.close();
      await settle();
      assert.ok(!socket.destroyed);
      socket.letRead();
      await settle();
      assert.ok(socket.destroyed);
    });

    it('hands over bytes that arrived before the last answer', async () => {
      const { socket, handed, connection, send } = world(undefined, true);
      await send(request('a'), request('b'));
      connection.answered(false);
      await settle();
      assert.deepEqual([socket.destroyed, handed], [false, [request('b')]]);
    });

    it('waits for the answer to a request', async () => {
      const { socket, begun, connection, send } = world();
      await send(request('a'));
      connection.close();
      await settle();
      assert.deepEqual([socket.destroyed, begun[0]?.abortCount()], [false, 0]);
    });
  });
});
