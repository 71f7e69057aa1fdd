/** Fetching a report over a real socket, from healthy, broken and hostile sidecars. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { peersTokenHeader } from '../../../../api/access.ts';
import { reportLimitBytes } from '../../../../api/report.ts';
import { createReportClient, type Pulled } from '../../../../operator/reports/report-client.ts';
import { fullReport } from '../../../support/reports.ts';

async function pulledFrom(
  answer: (response: ServerResponse) => void,
  signal: AbortSignal = new AbortController().signal,
): Promise<Pulled> {
  const server = createServer((_request, response) => answer(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = createReportClient((server.address() as AddressInfo).port);
  try {
    return await client.fetch('127.0.0.1', signal);
  } finally {
    client.close();
    server.close();
    server.closeAllConnections();
  }
}

type Row = {
  readonly name: string;
  readonly answer: (response: ServerResponse) => void;
  readonly want: RegExp | 'report';
};

const packed = { 'content-encoding': 'gzip' };
// prettier-ignore
const rows: readonly Row[] = [
  { name: 'accepts a plain report', answer: (r) => r.end(JSON.stringify(fullReport)), want: 'report' },
  { name: 'accepts a compressed report', answer:
      (r) => r.writeHead(200, packed).end(gzipSync(JSON.stringify(fullReport))), want: 'report' },
  { name: 'has no report when the sidecar fails',
    answer: (r) => r.writeHead(500).end(), want: /answered with HTTP status 500/ },
  { name: 'has no report when the answer is not JSON', answer: (r) => r.end('<html>'), want: /not JSON/ },
  { name: 'has no report when a field has the wrong type',
    answer: (r) => r.end(JSON.stringify({ ...fullReport, seq: 'one' })), want: /^seq: "one" is not a number/ },
  { name: 'stops reading at the bound', answer:
      (r) => r.end('x'.repeat(reportLimitBytes + 1)), want: /more than 1048576 bytes/ },
  { name: 'stops unpacking at the bound', answer:
      (r) => r.writeHead(200, packed).end(gzipSync(Buffer.alloc(64 << 20))), want: /more than 1048576 bytes/ },
  { name: 'has no report when compression is broken',
    answer: (r) => r.writeHead(200, packed).end('not gzip'), want: /cannot be decompressed/ },
  { name: 'does not follow a redirect', answer:
      (r) => r.writeHead(302, { location: 'http://127.0.0.1:1/report' }).end(), want: /HTTP status 302/ },
  { name: 'has no report when JSON is nested without end',
    answer: (r) => r.end('['.repeat(reportLimitBytes)), want: /not JSON/ },
  { name: 'has no report when a list is not a report', answer: (r) => r.end('[]'), want: /not an object/ },
  { name: 'has no report when the encoding is another',
    answer: (r) => r.writeHead(200, { 'content-encoding': 'br' }).end('{}'), want: /schema/ },
  { name: 'has no report when there are too many headers',
    answer: (r) => r.writeHead(200, { 'x-long': 'x'.repeat(100_000) }).end('{}'), want: /Header overflow/ },
  { name: 'stops reading at the bound without a content length',
    answer: (r) => { for (let i = 0; i < 40; i += 1) r.write('x'.repeat(1 << 16)); }, want: /more than 1048576 bytes/ },
  { name: 'has no report when a name is too long',
    answer: (r) => r.end(JSON.stringify({ ...fullReport,
      bootId: 'x'.repeat(257) })), want: /^bootId: is longer than 256 characters/ },
  { name: 'has no report when the connection breaks off',
    answer: (r) => { r.writeHead(200, { 'content-length': '900' }).write(
      '{'); r.destroy(); }, want: /aborted|hang up|reset/ },
];

describe('createReportClient', () => {
  for (const { name, answer, want } of rows) {
    it(name, async () => {
      const pulled = await pulledFrom(answer);
      if (want === 'report') assert.deepEqual(pulled, { kind: 'report', report: fullReport });
      else assert.match(pulled.kind === 'nothing' ? pulled.reason : 'taken', want);
    });
  }

  it("returns the signal's reason at the deadline", async () => {
    const deadline = new AbortController();
    const pulled = await pulledFrom(() => deadline.abort(new Error('no answer within 2000 ms')), deadline.signal);
    assert.deepEqual(pulled, { kind: 'nothing', reason: 'no answer within 2000 ms' });
  });

  it("returns the signal's reason when aborted during the body", async () => {
    const deadline = new AbortController();
    const pulled = await pulledFrom((response) => {
      response.write('{', () => setImmediate(() => deadline.abort(new Error('no answer within 2000 ms'))));
    }, deadline.signal);
    assert.deepEqual(pulled, { kind: 'nothing', reason: 'no answer within 2000 ms' });
  });

  it('has no report when the connection is refused', async () => {
    const client = createReportClient(1);
    const pulled = await client.fetch('127.0.0.1', new AbortController().signal);
    client.close();
    assert.match(pulled.kind === 'nothing' ? pulled.reason : 'taken', /ECONNREFUSED/);
  });
});

describe('the query of createReportClient', () => {
  for (const [name, ask, want] of [
    ['is empty without instructions', {}, '/report'],
    [
      'has all instructions',
      { blocksFrom: 85, peers: ['10.0.0.1', 'fd00::1'], sample: 0.05, agreement: 'Cosine:0.98' },
      '/report?blocksFrom=85&peers=10.0.0.1%2Cfd00%3A%3A1&sample=0.05&agreement=Cosine%3A0.98',
    ],
    ['leaves out instructions that are off', { peers: [], sample: 0 }, '/report'],
    ['has no token', { peers: ['10.0.0.1'], token: 'secret', peersToken: 'secret too' }, '/report?peers=10.0.0.1'],
  ] as const) {
    it(name, async () => {
      let url: string | undefined;
      let headers: IncomingHttpHeaders = {};
      const server = createServer((request, response) => {
        ({ url, headers } = request);
        response.end(JSON.stringify(fullReport));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = createReportClient((server.address() as AddressInfo).port);
      const pulled = await client.fetch('127.0.0.1', new AbortController().signal, ask);
      client.close();
      server.close();
      server.closeAllConnections();
      assert.equal(pulled.kind, 'report');
      assert.equal(url, want);
      assert.deepEqual(
        [headers.authorization, headers[peersTokenHeader]],
        'token' in ask ? ['Bearer secret', 'secret too'] : [undefined, undefined],
      );
    });
  }
});
