/** Who goes when a server has too many connections: never who asks and reads, as long as others do nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { ConnectionRoom, stalledMs, type Connection } from '../../../lib/connection-room.ts';
import { serveHttp } from '../../../lib/http-serve.ts';
import { HandClock } from '../../support/hand-clock.ts';
import { ask } from '../../support/infer-client.ts';

class Fake implements Connection {
  isOpen = true;
  readonly remoteAddress: string;

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  destroy(): void {
    this.isOpen = false;
  }
}

function filled(addresses: readonly string[], clock = new HandClock()) {
  const room = new ConnectionRoom<Fake>(addresses.length, clock);
  const held = addresses.map((address) => new Fake(address));
  for (const one of held) room.opened(one);
  const come = (address: string): Fake => {
    const one = new Fake(address);
    room.opened(one);
    return one;
  };
  const gone = (): readonly number[] => held.flatMap(({ isOpen }, i) => (isOpen ? [] : [i]));
  return { room, held, come, gone, clock };
}

describe('a full server', () => {
  it('ends the connection that was unused the longest', () => {
    const { room, held, come, gone } = filled(['a', 'a', 'a']);
    room.began(held[0]!);
    room.ended(held[0]!);
    assert.ok(come('a').isOpen);
    assert.deepEqual(gone(), [1]);
  });

  it('ends one of the address that has the most', () => {
    const { come, gone } = filled(['operator', 'evil', 'evil', 'peer']);
    assert.ok(come('operator').isOpen);
    assert.deepEqual(gone(), [1]);
  });

  it('keeps connections with a request under way, and turns the new one away when all have one', () => {
    const { room, held, come, gone } = filled(['a', 'b']);
    for (const one of held) room.began(one);
    assert.ok(!come('c').isOpen);
    assert.deepEqual([gone(), room.size], [[], 2]);
  });

  it('ends one whose answer is not read', async () => {
    const { room, held, come, gone, clock } = filled(['a', 'b']);
    room.began(held[0]!);
    await clock.advance(1);
    room.began(held[1]!);
    await clock.advance(stalledMs - 1);
    assert.ok(come('c').isOpen);
    assert.deepEqual(gone(), [0]);
  });

  it('never has more than its bound, and knows only what is open', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ do: fc.constantFrom('open', 'begin', 'end', 'close'), at: fc.nat(20), address: fc.constantFrom('a', 'b', 'c') })), (moves) => {
        const room = new ConnectionRoom<Fake>(5, new HandClock());
        const all: Fake[] = [];
        for (const move of moves) {
          const one = all[move.at % Math.max(1, all.length)];
          if (move.do === 'open') {
            all.push(new Fake(move.address));
            room.opened(all.at(-1)!);
          } else if (one !== undefined && move.do === 'begin') room.began(one);
          else if (one !== undefined && move.do === 'end') room.ended(one);
          else if (one !== undefined) {
            room.closed(one);
            one.destroy();
          }
          assert.ok(room.size <= 5);
          assert.equal(room.size, all.filter(({ isOpen }) => isOpen).length);
        }
      }),
    );
  });

  it('answers beside any number of connections that say nothing', async () => {
    const server = await serveHttp((_request, response) => response.end('here'), '127.0.0.1', 0, { maxConnections: 4 });
    const silent: Socket[] = [];
    try {
      for (let i = 0; i < 20; i += 1) {
        const socket = connect(server.port, '127.0.0.1');
        socket.on('error', () => {});
        silent.push(socket);
        await once(socket, 'connect');
      }
      for (let i = 0; i < 5; i += 1) assert.equal((await ask(`http://127.0.0.1:${server.port}`, '/')).body.toString(), 'here');
    } finally {
      for (const socket of silent) socket.destroy();
      await server.close(0);
    }
  });
});
