/** Limits on the resources that clients of the HTTP server may use. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { serveHttp } from '../../../lib/http-serve.ts';

describe('serveHttp', () => {
  const floods: readonly { readonly name: string; readonly request: string }[] = [
    { name: 'requests', request: 'GET / HTTP/1.1\r\nhost: x\r\n\r\n' },
    { name: 'requests without a host', request: 'GET / HTTP/1.1\r\n\r\n' },
    { name: 'requests with an unknown Expect header', request: 'GET / HTTP/1.1\r\nhost: x\r\nexpect: more\r\n\r\n' },
  ];
  for (const { name, request } of floods) {
    it(`closes a connection that sends very many ${name} without waiting for answers`, async () => {
      let handled = 0;
      const server = await serveHttp(
        () => {
          handled += 1;
        },
        '127.0.0.1',
        0,
      );
      const socket = connect(server.port, '127.0.0.1');
      socket
        .on('error', () => {})
        .resume()
        .write(request.repeat(1000));
      await once(socket, 'close');
      assert.ok(handled <= 32, `${handled} requests were handled`);
      await server.close(0);
    });
  }
});
