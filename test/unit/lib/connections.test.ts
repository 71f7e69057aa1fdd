/** Limits on the requests of one connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { Connections } from '../../../lib/connections.ts';

describe('Connections', () => {
  it('drops the requests that were received after the one that closed the connection', async () => {
    let made = 0;
    const server = createServer(() => {
      made += 1;
    });
    new Connections({ maxConnections: 8, spare: 0 }).watch(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket
      .on('error', () => {})
      .resume()
      .write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(1000));
    await once(socket, 'close');
    assert.equal(made, 33);
    server.close();
  });
});
