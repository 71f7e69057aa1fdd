/** A request for a report needs no token. A request with instructions, or for samples, needs the token. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { peersTokenHeader } from '../../../../api/access.ts';
import type { Asked } from '../../../../runtime/sidecar/asked.ts';
import { sidecarApp } from '../../../../runtime/sidecar/server.ts';
import { doorFor, withToken } from '../../../support/door.ts';
import { ask } from '../../../support/infer-client.ts';
import { fullReport } from '../../../support/reports.ts';

const query = '/report?sample=1&peers=10.0.0.9&agreement=Cosine:0.9';
const peersToken = 'p'.repeat(43);
const strangers: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['without a token', {}],
  ['with another token', { authorization: `Bearer ${'b'.repeat(43)}` }],
  ['with the token in another form', { authorization: withToken.authorization.slice(7) }],
];

describe('a sidecar', () => {
  const heard: Asked[] = [];
  let taken = 0;
  let server: Server;
  let url = '';

  before(async () => {
    const takeSamples = (): Promise<Uint8Array> => Promise.resolve(Buffer.from(`sample ${(taken += 1)}`));
    server = createServer(
      sidecarApp({
        report: () => fullReport,
        alive: () => true,
        onAsked: (asked) => heard.push(asked),
        takeSamples,
        door: doorFor(),
      }),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    heard.length = 0;
    taken = 0;
  });
  after(() => server.close());

  for (const [name, headers] of strangers) {
    it(`serves a report ${name}, and ignores the instructions`, async () => {
      for (const path of [query, '/report', '/report?sample=0']) {
        const { status, body } = await ask(url, path, { headers: { ...headers, [peersTokenHeader]: peersToken } });
        assert.deepEqual(
          [status, (JSON.parse(body.toString()) as { readonly bootId: string }).bootId],
          [200, 'boot-1'],
        );
      }
      assert.deepEqual(heard, []);
    });

    it(`refuses samples ${name}`, async () => {
      const { status, body } = await ask(url, '/samples?max=16', { body: '', headers });
      const { error } = JSON.parse(body.toString()) as {
        readonly error: { readonly code: string; readonly message: string };
      };
      assert.deepEqual([status, error.code, taken], [401, 'TOKEN_MISSING', 0]);
      assert.match(error.message, /^samples of live requests require the revision's token/);
    });
  }

  it('follows instructions with the token', async () => {
    assert.equal((await ask(url, query, { headers: { ...withToken, [peersTokenHeader]: peersToken } })).status, 200);
    assert.deepEqual(heard, [
      { peers: ['10.0.0.9'], sample: 1, agreement: { metric: 'Cosine', limit: 0.9 }, peersToken },
    ]);
  });

  for (const [name, target, status] of [
    ['a whole URL', 'http://sidecar/report?sample=0', 200],
    ['a URL with an invalid port', 'http://sidecar:99999/report', 200],
    ['no path at all', '//', 404],
    ['a query with invalid encoding', '/report?more=%E0%A4%A', 200],
    ['an incomplete escape', '/report%', 404],
  ] as const) {
    it(`answers a request line with ${name}, without a stack trace`, async () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.end(`GET ${target} HTTP/1.1\r\nhost: sidecar\r\nconnection: close\r\n\r\n`);
      const answer = await text(socket);
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
      assert.match(answer, /content-type: application\/json/i);
    });
  }

  it('ignores a peers token that is not a token', async () => {
    await ask(url, query, { headers: { ...withToken, [peersTokenHeader]: 'short' } });
    assert.equal(heard[0]?.peersToken, undefined);
  });

  it('serves samples with the token', async () => {
    const { status, body } = await ask(url, '/samples?max=16', { body: '', headers: withToken });
    assert.deepEqual([status, body.toString()], [200, 'sample 1']);
  });
});
