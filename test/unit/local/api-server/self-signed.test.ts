import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { selfSigned } from '../../../../local/api-server/self-signed.ts';

const now = Date.UTC(2026, 5, 1);

describe('selfSigned', () => {
  it('makes a self-signed certificate for the given addresses', () => {
    const { certificate } = selfSigned(['127.0.0.1', '127.3.200.4'], now);
    const read = new X509Certificate(certificate);
    assert.ok(read.verify(read.publicKey));
    assert.equal(read.subjectAltName, 'DNS:localhost, IP Address:127.0.0.1, IP Address:127.3.200.4');
    assert.ok(read.ca);
    assert.equal(Date.parse(read.validFrom), now - 3_600_000);
    assert.ok(Date.parse(read.validTo) > now + 3000 * 86_400_000);
  });

  it('never gives two servers the same serial number', () => {
    const serials = [1, 2, 3].map(() => new X509Certificate(selfSigned(['127.0.0.1'], now).certificate).serialNumber);
    assert.equal(new Set(serials).size, 3);
  });

  it('is accepted only by a client that trusts it', async () => {
    const { certificate, privateKey } = selfSigned(['127.0.0.1'], Date.now());
    const server = createServer({ cert: certificate, key: privateKey }, (_, response) => response.end('ok'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const ask = (ca?: string): Promise<number | string> =>
      new Promise((resolve) => {
        const sent = request(
          { host: '127.0.0.1', port, agent: false, ...(ca === undefined ? {} : { ca }) },
          (response) => {
            response.resume();
            resolve(response.statusCode ?? 0);
          },
        );
        sent.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        sent.end();
      });
    try {
      assert.equal(await ask(certificate), 200);
      assert.equal(await ask(), 'DEPTH_ZERO_SELF_SIGNED_CERT');
    } finally {
      server.close();
    }
  });
});
