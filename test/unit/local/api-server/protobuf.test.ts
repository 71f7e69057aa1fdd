/** Protobuf bodies, as kubectl sends them. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeProtobuf } from '../../../../local/api-server/protobuf.ts';
import { StatusError } from '../../../../local/api-server/status.ts';

function field(number: number, value: Buffer | string | number): Buffer {
  if (typeof value === 'number') return Buffer.from([number * 8, value]);
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
}

function envelope(apiVersion: string, kind: string, raw: Buffer): Buffer {
  return Buffer.concat([Buffer.from('k8s\0'), field(1, Buffer.concat([field(1, apiVersion), field(2, kind)])), field(2, raw)]);
}

describe('decodeProtobuf', () => {
  it('reads a ConfigMap', () => {
    const meta = Buffer.concat([field(1, 'c'), field(3, 'n'), field(11, Buffer.concat([field(1, 'k'), field(2, 'v')]))]);
    const data = Buffer.concat([field(1, 'a'), field(2, 'b')]);
    assert.deepEqual(decodeProtobuf(envelope('v1', 'ConfigMap', Buffer.concat([field(1, meta), field(2, data)]))), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'n', labels: { k: 'v' } }, data: { a: 'b' } });
  });

  it('reads bytes as base64 and leaves zeros out', () => {
    const meta = Buffer.concat([field(1, 's'), field(7, 0)]);
    const entry = Buffer.concat([field(1, 'a'), field(2, Buffer.from([0xff, 0x00]))]);
    assert.deepEqual(decodeProtobuf(envelope('v1', 'Secret', Buffer.concat([field(1, meta), field(2, entry)]))), { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: '/wA=' } });
  });

  it('refuses a kind that it has no table for, with advice', () => {
    assert.throws(() => decodeProtobuf(envelope('apps/v1', 'Deployment', Buffer.alloc(0))), (error: unknown) => error instanceof StatusError && error.body.code === 415 && error.message.includes('kubectl apply -f'));
  });

  it('refuses anything broken without breaking', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const body of [Buffer.from(bytes), envelope('v1', 'ConfigMap', Buffer.from(bytes.subarray(0, 100)))]) {
        try {
          decodeProtobuf(body);
        } catch (error) {
          assert.ok(error instanceof StatusError && [400, 415].includes(error.body.code ?? 0), String(error));
        }
      }
    }));
  });
});
