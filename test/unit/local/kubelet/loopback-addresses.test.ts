import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { addressAt, LoopbackAddresses } from '../../../../local/kubelet/loopback-addresses.ts';

// A random range of addresses, because another test run on this machine may use addresses, too.
const net = `127.${100 + (process.pid % 100)}.${process.hrtime()[1] % 250}`;
const range = { first: `${net}.1`, size: 3 };

describe('LoopbackAddresses', () => {
  it('gives each address once, and again only after it was released', async () => {
    const addresses = new LoopbackAddresses(range, 0);
    const taken = [await addresses.take([]), await addresses.take([]), await addresses.take([])];
    assert.deepEqual(taken, [`${net}.1`, `${net}.2`, `${net}.3`]);
    await assert.rejects(addresses.take([8080]), /no free loopback address/);
    addresses.release(`${net}.2`);
    assert.equal(await addresses.take([]), `${net}.2`);
    addresses.releaseAll();
  });

  it('never gives out an address that another local mode uses', async () => {
    const [one, other] = [new LoopbackAddresses(range, 0), new LoopbackAddresses(range, 0)];
    assert.notEqual(await one.take([]), await other.take([]));
    one.releaseAll();
    other.releaseAll();
  });

  it('skips an address on which a port of the pod is taken', async () => {
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(8080, `${net}.1`, resolve));
    const addresses = new LoopbackAddresses(range, 0);
    assert.equal(await addresses.take([8080]), `${net}.2`);
    addresses.releaseAll();
    await new Promise((resolve) => squatter.close(resolve));
  });

  it('carries over between the parts of an address', () => assert.equal(addressAt('127.64.0.255', 2), '127.64.1.1'));
});
