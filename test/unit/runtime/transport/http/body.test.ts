/** Reading a body, and how much memory is charged for it while it arrives or is decompressed. */
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { deflateSync, gzipSync } from 'node:zlib';
import { AppError } from '../../../../../api/errors.ts';
import { readBody } from '../../../../../runtime/transport/http/body.ts';
import { Transfers } from '../../../../../runtime/transport/http/transfers.ts';
import { HandClock, settle } from '../../../../support/hand-clock.ts';

const mib = 2 ** 20;
const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

function world({
  limitBytes = 8 * mib,
  budgetBytes = 16 * mib,
  headers = {},
}: { limitBytes?: number; budgetBytes?: number; headers?: Record<string, string> } = {}) {
  const clock = new HandClock();
  const transfers = new Transfers({ limitBytes: () => budgetBytes, clock });
  const socket = new PassThrough({ highWaterMark: 64 * mib });
  const request = Object.assign(socket, { headers }) as unknown as IncomingMessage;
  const body = readBody(request, { limitBytes, headBytes: 5, lease: transfers.lease() });
  body.catch(() => {});
  return { clock, transfers, socket, body };
}

const codeIs =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof AppError && error.code === code;
const numbers = Buffer.from(Uint8Array.from({ length: 3 * mib }, (_, at) => at));

describe('readBody', () => {
  const forms: readonly { readonly name: string; readonly headers: Record<string, string>; readonly sent: Buffer }[] = [
    { name: 'of a known length', headers: { 'content-length': String(numbers.length) }, sent: numbers },
    { name: 'in chunks', headers: {}, sent: numbers },
    { name: 'as gzip', headers: { 'content-encoding': 'gzip' }, sent: gzipSync(numbers) },
    { name: 'as deflate', headers: { 'content-encoding': 'Deflate' }, sent: deflateSync(numbers) },
  ];
  for (const { name, headers, sent } of forms) {
    it(`reads a body ${name}, with data aligned after its JSON head, and charges every byte`, async () => {
      const { transfers, socket, body } = world({ headers });
      for (let at = 0; at < sent.length; at += 100_000) socket.write(sent.subarray(at, at + 100_000));
      socket.end();
      const bytes = await body;
      assert.ok(Buffer.from(bytes).equals(numbers));
      assert.equal((bytes.byteOffset + 5) % 8, 0);
      assert.equal(transfers.heldBytes, numbers.length + (headers['content-encoding'] === undefined ? 0 : sent.length));
    });
  }

  it('charges the bytes that arrived, not those that Content-Length announces', async () => {
    const { transfers, socket } = world({ headers: { 'content-length': String(8 * mib) } });
    socket.write('{');
    await turn();
    assert.equal(transfers.heldBytes, 1);
  });

  // prettier-ignore
  const refusals: readonly { readonly name: string; readonly headers: Record<string, string>;
    readonly sent: Buffer; readonly limitBytes?: number; readonly want: string }[] = [
    { name: 'announces more than the limit', headers: { 'content-length': String(9 * mib) },
      sent: Buffer.alloc(0), want: 'REQUEST_TOO_LARGE' },
    { name: 'is chunked and larger than the limit', headers: {},
      sent: Buffer.alloc(9 * mib), want: 'REQUEST_TOO_LARGE' },
    { name: 'expands to more than the limit', headers: { 'content-encoding': 'gzip' },
      sent: gzipSync(Buffer.alloc(9 * mib)), want: 'REQUEST_TOO_LARGE' },
    { name: 'is chunked and exceeds the budget', headers: {}, sent: Buffer.alloc(5 * mib), want: 'BODIES_FULL' },
    { name: 'exceeds the budget once expanded', headers: { 'content-encoding': 'gzip' },
      sent: gzipSync(Buffer.alloc(5 * mib)), want: 'BODIES_FULL' },
    { name: 'is not gzip although its encoding is', headers: { 'content-encoding': 'gzip' },
      sent: Buffer.from('no gzip at all'), want: 'REQUEST_INVALID' },
    { name: 'is truncated gzip', headers: { 'content-encoding': 'gzip' },
      sent: gzipSync(numbers).subarray(0, 1000), want: 'REQUEST_INVALID' },
    { name: 'has an encoding named like a property of every object', headers: { 'content-encoding': '__proto__' },
      sent: Buffer.alloc(1), want: 'REQUEST_INVALID' },
  ];
  for (const { name, headers, sent, want } of refusals) {
    it(`refuses a body that ${name}`, async () => {
      const { transfers, socket, body } = world({ headers });
      if (want === 'BODIES_FULL') transfers.lease().take(10 * mib);
      socket.end(sent);
      await assert.rejects(body, codeIs(want));
    });
  }

  it('rejects a body that stops arriving, and releases its memory', async () => {
    const { clock, transfers, socket, body } = world({ headers: { 'content-length': '1000' } });
    socket.write('half of it');
    await turn();
    await clock.advance(6000);
    await settle();
    await assert.rejects(body, codeIs('BODY_TOO_SLOW'));
    assert.equal(transfers.heldBytes, 0);
  });
});
