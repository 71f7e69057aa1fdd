/**
 * The addresses to which a download never connects. For a host name, the guard checks the addresses that the name
 * resolves to.
 */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import fc from 'fast-check';
import { blockedCode, guardedLookup, isBlockedAddress } from '../../../../../runtime/prepare/fetch/address-guard.ts';

// prettier-ignore
const rows: readonly { readonly what: string; readonly blocked?: readonly string[];
  readonly allowed?: readonly string[] }[] = [
  { what: 'link-local and metadata IPv4', blocked: ['169.254.169.254', '169.254.0.1', '169.254.170.2',
      '168.63.129.16', '100.100.100.200', '192.0.0.192', '0.0.0.0', '0.1.2.3', '224.0.0.1', '255.255.255.255'],
    allowed: ['127.0.0.1', '10.1.2.3', '192.168.1.1', '172.16.0.1', '8.8.8.8', '168.63.129.17',
      '100.100.100.201', '100.64.0.1', '169.253.255.255', '169.255.0.0', '192.0.1.0', '1.0.0.0'] },
  { what: 'link-local and metadata IPv6', blocked: ['[fe80::1]', 'fe80::1%eth0', '[fe80::1%25eth0]', 'febf::1',
      'fec0::1', 'ff02::1', '::', 'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe',
      'fd00:42::42'], allowed: ['::1', '2001:db8::1', 'fd00::1', 'fd00:ec3::254', 'fd20:cf::254', 'fc00::1'] },
  { what: 'IPv4-mapped and IPv4-translated',
    blocked: ['::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '::FFFF:A9FE:A9FE',
      '0:0:0:0:0:ffff:a9fe:a9fe', '::ffff:0:169.254.169.254', '::ffff:168.63.129.16'],
    allowed: ['::ffff:10.0.0.1', '::ffff:127.0.0.1', '::ffff:0:10.0.0.1'] },
  { what: 'IPv4-compatible', blocked: ['::a9fe:a9fe', '::169.254.169.254', '::6464:64c8'], allowed: ['::10.0.0.1'] },
  { what: 'NAT64 with the well-known prefix',
    blocked: ['64:ff9b::a9fe:a9fe', '64:ff9b::169.254.169.254', '64:ff9b:0:0:0:0:a9fe:a9fe',
      '64:ff9b::a83f:8110', '0064:ff9b::a9fe:1'], allowed: ['64:ff9b::808:808', '64:ff9b::10.0.0.1'] },
  { what: 'NAT64 with a local-use prefix of any length',
    blocked: ['64:ff9b:1::a9fe:a9fe', '64:ff9b:1:a9fe:a9:fe00::', '64:ff9b:1:ffa9:fe:a9fe::',
      '64:ff9b:1:ffff:a9:fea9:fe00:0', '64:ff9b:1:abcd::169.254.1.1'], allowed: ['64:ff9b:1:808:8:808:808:808'] },
  { what: 'a metadata address behind a network\'s own NAT64 prefix',
    blocked: ['2001:db8:64::a9fe:a9fe', 'fd12:3456::169.254.169.254',
      '2001:db8::a83f:8110'], allowed: ['2001:db8:64::a9fe:a9ff', '2001:db8::808:808'] },
  { what: '6to4', blocked: ['2002:a9fe:a9fe::', '2002:a9fe:a9fe::1',
      '2002:a83f:8110::1', '2002:6464:64c8::1'], allowed: ['2002:808:808::1'] },
  { what: 'Teredo, as server and as client',
    blocked: ['2001:0:a9fe:a9fe::', '2001::a9fe:a9fe:0:0:0:0',
      '2001:0:808:808:0:0:5601:5601'], allowed: ['2001:0:808:808:8000:ffff:f7f7:f7f7'] },
  { what: 'ISATAP', blocked: ['2001:db8::5efe:a9fe:1', '2001:db8::200:5efe:169.254.1.1',
      'fd00::5efe:a83f:8110'], allowed: ['2001:db8::5efe:a00:1', '2001:db8::300:5efe:169.254.1.1'] },
  { what: 'anything that is not an address',
    allowed: ['models.example.com', '', 'metadata.google.internal', '[not-one]', '169.254.169.254.example'] },
];

describe('isBlockedAddress', () => {
  for (const { what, blocked = [], allowed = [] } of rows) {
    describe(what, () => {
      for (const address of blocked) it(`blocks ${address}`, () => assert.ok(isBlockedAddress(address)));
      for (const address of allowed)
        it(`allows ${address || 'an empty host'}`, () => assert.ok(!isBlockedAddress(address)));
    });
  }

  // Other spellings of addresses. The guard and the connection use the same host, as the class URL parses it.
  for (const host of [
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '0xa9.0xfe.43518',
    '169.254.43518',
    '169.254.169.254.',
    '%3169.254.169.254',
    '169。254。169。254',
    '[::ffff:a9fe:a9fe]',
    '[0:0:0:0:0:0:A9FE:A9FE]',
    '2822734096',
  ]) {
    it(`blocks http://${host}/ as URL spells it`, () =>
      assert.ok(isBlockedAddress(new URL(`http://${host}/`).hostname)));
  }

  const word = fc.integer({ min: 0, max: 0xffff });
  const hex = (words: readonly number[]): string => words.map((each) => each.toString(16)).join(':');
  const v4 = fc.oneof(
    fc.constantFrom([169, 254, 169, 254], [168, 63, 129, 16], [100, 100, 100, 200], [10, 0, 0, 1], [8, 8, 8, 8]),
    fc.tuple(fc.constant(169), fc.constant(254), fc.nat(255), fc.nat(255)),
    fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)),
  );
  const pair = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]): readonly number[] => [(a << 8) | b, (c << 8) | d];
  const wrappings: readonly {
    readonly name: string;
    readonly wrap: (inner: readonly number[], rest: readonly number[]) => string;
  }[] = [
    { name: 'IPv4-mapped', wrap: (inner) => `::ffff:${inner.join('.')}` },
    { name: 'IPv4-translated', wrap: (inner) => `::ffff:0:${hex(pair(inner))}` },
    { name: 'NAT64', wrap: (inner) => `64:ff9b::${inner.join('.')}` },
    { name: '6to4', wrap: (inner, rest) => hex([0x2002, ...pair(inner), ...rest.slice(0, 5)]) },
    {
      name: 'Teredo',
      wrap: (inner, rest) => hex([0x2001, 0, ...rest.slice(0, 4), ...pair(inner).map((each) => each ^ 0xffff)]),
    },
    { name: 'ISATAP', wrap: (inner, rest) => hex([0x2a00, ...rest.slice(0, 3), 0, 0x5efe, ...pair(inner)]) },
  ];
  for (const { name, wrap } of wrappings) {
    it(`blocks every address that contains a blocked one as ${name}, however it is spelled`, () => {
      fc.assert(
        fc.property(v4, fc.array(word, { minLength: 8, maxLength: 8 }), fc.boolean(), (inner, rest, isUpper) => {
          const address = wrap(inner, rest);
          assert.equal(isIP(address), 6, address);
          if (isBlockedAddress(inner.join('.')))
            assert.ok(isBlockedAddress(isUpper ? address.toUpperCase() : address), address);
          assert.equal(isBlockedAddress(address), isBlockedAddress(new URL(`http://[${address}]/`).hostname), address);
        }),
      );
    });
  }

  it('allows ordinary addresses: of global unicast IPv6, blocks only those that contain a blocked address', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 7, maxLength: 7 }), (words) =>
        assert.ok(!isBlockedAddress(hex([0x2a00, ...words.slice(0, 3), 0x1234, ...words.slice(4, 6), 0x0808]))),
      ),
    );
  });
});

describe('guardedLookup', () => {
  const answer = (addresses: string[]) =>
    guardedLookup((_hostname, _options, callback) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: isIP(address) })),
      ),
    );
  const ask = (lookup: ReturnType<typeof guardedLookup>) =>
    new Promise<string>((resolve) => {
      lookup('name', { all: true }, (error) =>
        resolve(error === null ? 'ok' : ((error as NodeJS.ErrnoException).code ?? '')),
      );
    });

  it('passes allowed addresses on', async () => assert.equal(await ask(answer(['10.0.0.1'])), 'ok'));
  it('fails when one of several is blocked', async () =>
    assert.equal(await ask(answer(['10.0.0.1', '169.254.169.254'])), blockedCode));
  it('fails when one of several contains a blocked one', async () =>
    assert.equal(await ask(answer(['10.0.0.1', '2002:a9fe:a9fe::1'])), blockedCode));
  it('fails for a single blocked answer', async () => {
    const lookup = guardedLookup((_hostname, _options, callback) => callback(null, 'fe80::1%eth0', 6));
    assert.equal(await ask(lookup), blockedCode);
  });
  it('passes errors on', async () => {
    const lookup = guardedLookup((_hostname, _options, callback) =>
      callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []),
    );
    assert.equal(await ask(lookup), 'ENOTFOUND');
  });
});
