/** The greedy client of the runtime's bench. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { giantMessages, GreedyClient } from '../../../../bench/runtime/giants.ts';

describe('the giant requests of bench:runtime', () => {
  it('have the rows and the sizes that their names say', () => {
    const sizes = [...giantMessages()].map(([name, { body }]) => [name, Math.round(body.length / 2 ** 18) / 4]);
    assert.deepEqual(Object.fromEntries(sizes), {
      // Three tensors of eight bytes an element.
      '48 rows of 512 tokens': 0.5,
      '1024 rows of 16 tokens': 0.5,
      '4096 tokens in a row': 0,
      '40 MiB of binary data': 40,
      '20 MiB of empty lists': 20,
      '20 MiB of numbers': 20,
      '4 MiB of nested lists': 4,
      'a text of 8 MiB': 8,
    });
  });

  it('are sent each by its own connection, and counted by the status of their answers', async () => {
    const paths: string[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url ?? '');
      request.resume().on('end', () => response.writeHead(request.url === '/v1/embeddings' ? 413 : 200).end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = new GreedyClient((server.address() as AddressInfo).port);
    while (paths.length < giantMessages().size) await once(server, 'request');
    const answers = await client.end();
    server.close();
    server.closeAllConnections();
    assert.deepEqual(Object.keys(answers), [...giantMessages().keys()]);
    assert.equal(paths.filter((path) => path === '/v1/embeddings').length, 1);
    assert.ok(Object.values(answers).every((counts) => Object.values(counts).every((count) => count === 1)));
  });
});
