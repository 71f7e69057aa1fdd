/** Which addresses a download never connects to, and that the check is made on what a name resolves to. */
import assert from 'node:assert/strict';
import { blockedCode, guardedLookup, isBlockedAddress } from '../../../../runtime/artifact/address-guard.ts';

describe('isBlockedAddress', () => {
  const blocked = ['169.254.169.254', '169.254.0.1', '[fe80::1]', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe', '64:ff9b::169.254.169.254', 'fd00:ec2::254', '100.100.100.200', '0.0.0.0', '::'];
  for (const address of blocked) it(`blocks ${address}`, () => assert.ok(isBlockedAddress(address)));
  const allowed = ['127.0.0.1', '10.1.2.3', '192.168.1.1', '8.8.8.8', '2001:db8::1', '64:ff9b::808:808', 'models.example.com', ''];
  for (const address of allowed) it(`lets ${address || 'an empty host'} be`, () => assert.ok(!isBlockedAddress(address)));
});

describe('guardedLookup', () => {
  const answer = (addresses: string[]) => guardedLookup((_hostname, _options, callback) => callback(null, addresses.map((address) => ({ address, family: 4 }))));
  const ask = (lookup: ReturnType<typeof guardedLookup>) => new Promise<string>((resolve) => { lookup('name', { all: true }, (error) => resolve(error === null ? 'ok' : (error as NodeJS.ErrnoException).code ?? '')); });

  it('passes addresses on that are fine', async () => assert.equal(await ask(answer(['10.0.0.1'])), 'ok'));
  it('fails when one of several is blocked', async () => assert.equal(await ask(answer(['10.0.0.1', '169.254.169.254'])), blockedCode));
  it('passes errors on', async () => {
    const lookup = guardedLookup((_hostname, _options, callback) => callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []));
    assert.equal(await ask(lookup), 'ENOTFOUND');
  });
});
