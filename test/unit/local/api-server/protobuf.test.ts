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
  return Buffer.concat([
    Buffer.from('k8s\0'),
    field(1, Buffer.concat([field(1, apiVersion), field(2, kind)])),
    field(2, raw),
  ]);
}

describe('decodeProtobuf', () => {
  it('reads a ConfigMap', () => {
    const meta = Buffer.concat([
      field(1, 'c'),
      field(3, 'n'),
      field(11, Buffer.concat([field(1, 'k'), field(2, 'v')])),
    ]);
    const data = Buffer.concat([field(1, 'a'), field(2, 'b')]);
    assert.deepEqual(decodeProtobuf(envelope('v1', 'ConfigMap', Buffer.concat([field(1, meta), field(2, data)]))), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace: 'n', labels: { k: 'v' } },
      data: { a: 'b' },
    });
  });

  it('reads bytes as base64 and omits zeros', () => {
    const meta = Buffer.concat([field(1, 's'), field(7, 0)]);
    const entry = Buffer.concat([field(1, 'a'), field(2, Buffer.from([0xff, 0x00]))]);
    assert.deepEqual(decodeProtobuf(envelope('v1', 'Secret', Buffer.concat([field(1, meta), field(2, entry)]))), {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      data: { a: '/wA=' },
    });
  });

  it('distinguishes zero from unset where the type does', () => {
    const container = Buffer.concat([
      field(1, 'c'),
      field(2, ''),
      field(5, ''),
      field(8, Buffer.concat([field(1, Buffer.concat([field(1, 'cpu'), field(2, field(1, '100m'))]))])),
    ]);
    const volume = Buffer.concat([field(1, 'v'), field(2, field(6, field(1, 'settings')))]);
    const template = field(2, Buffer.concat([field(1, volume), field(2, container)]));
    const spec = Buffer.concat([
      field(1, 0),
      field(2, field(1, Buffer.concat([field(1, 'a'), field(2, '')]))),
      field(3, template),
      field(4, ''),
      field(5, 0),
    ]);
    assert.deepEqual(decodeProtobuf(envelope('apps/v1', 'Deployment', field(2, spec))), {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      // prettier-ignore
      spec: {
        replicas: 0,
        selector: { matchLabels: { a: '' } },
        template: { spec: { volumes: [{ name: 'v', secret: { secretName: 'settings' } }],
            containers: [{ name: 'c', resources: { limits: { cpu: '100m' } } }] } },
        strategy: {},
      },
    });
  });

  it('reads values that are a number or a text, and times to the microsecond', () => {
    const port = (target: Buffer): Buffer => field(1, Buffer.concat([field(3, 80), field(4, target)]));
    const ports = Buffer.concat([
      port(Buffer.concat([field(1, 0), field(2, 81), field(3, '')])),
      port(Buffer.concat([field(1, 1), field(2, 0), field(3, 'http')])),
      port(field(1, 0)),
    ]);
    assert.deepEqual(decodeProtobuf(envelope('v1', 'Service', field(2, ports))), {
      apiVersion: 'v1',
      kind: 'Service',
      spec: { ports: [{ port: 80, targetPort: 81 }, { port: 80, targetPort: 'http' }, { port: 80 }] },
    });
    const time = Buffer.concat([field(1, 60), field(2, 100)]);
    assert.deepEqual(
      decodeProtobuf(
        envelope(
          'coordination.k8s.io/v1',
          'Lease',
          field(
            2,
            Buffer.concat([field(3, time), field(4, Buffer.concat([Buffer.from([8, 60, 16, 0xc0, 0x84, 0x3d])]))]),
          ),
        ),
      ),
      {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        spec: { acquireTime: '1970-01-01T00:01:00.000000Z', renewTime: '1970-01-01T00:01:00.001000Z' },
      },
    );
  });

  it('reads options of every version', () => {
    assert.deepEqual(
      decodeProtobuf(envelope('apps/v1', 'DeleteOptions', Buffer.concat([field(1, 0), field(4, 'Orphan')]))),
      { apiVersion: 'apps/v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, propagationPolicy: 'Orphan' },
    );
  });

  it('refuses a kind without a table, with advice', () => {
    assert.throws(
      () => decodeProtobuf(envelope('batch/v1', 'Job', Buffer.alloc(0))),
      (error: unknown) =>
        error instanceof StatusError && error.body.code === 415 && error.message.includes('kubectl apply -f'),
    );
  });

  it('refuses broken bytes with an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const body of [Buffer.from(bytes), envelope('v1', 'ConfigMap', Buffer.from(bytes.subarray(0, 100)))]) {
          try {
            decodeProtobuf(body);
          } catch (error) {
            assert.ok(error instanceof StatusError && [400, 415].includes(error.body.code ?? 0), String(error));
          }
        }
      }),
    );
  });
});
