/** Quantities, compared with what kube-apiserver 1.35 accepts in a container's resources. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonicalQuantity, nanosOf, parseQuantity, quantityPattern } from '../../../api/quantities.ts';

describe('canonicalQuantity', () => {
  // Each text, and the form in which kube-apiserver 1.35 returns it.
  const rows: readonly (readonly [string, string])[] = [
    ['1024Mi', '1Gi'],
    ['1000m', '1'],
    ['0.5', '500m'],
    ['1.5Gi', '1536Mi'],
    ['2Gi', '2Gi'],
    ['1000', '1k'],
    ['1500', '1500'],
    ['100m', '100m'],
    ['0', '0'],
    ['0Mi', '0'],
    ['1000Ki', '1000Ki'],
    ['1e3', '1e3'],
    ['-1000m', '-1'],
    ['1M', '1M'],
    ['0.1', '100m'],
    ['1n', '1n'],
    ['1', '1'],
  ];
  for (const [text, want] of rows) it(`writes ${text} as ${want}`, () => assert.equal(canonicalQuantity(text), want));
});

describe('nanosOf', () => {
  it('compares units of both kinds', () => {
    assert.ok((nanosOf('1Mi') ?? 0n) > (nanosOf('1M') ?? 0n));
    assert.equal(nanosOf('1Ki'), nanosOf('1024'));
    assert.equal(nanosOf('1e3'), nanosOf('1k'));
  });
  for (const text of ['', '1Zi', 'x', '1 Gi', '--1', '1.2.3', '1e', '0x10'])
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(nanosOf(text), undefined));
});

describe('parseQuantity', () => {
  const rows: readonly { text: string; want: number | undefined }[] = [
    { text: '2Gi', want: 2 ** 31 },
    { text: '500m', want: 0.5 },
    { text: '1', want: 1 },
    { text: '1.5', want: 1.5 },
    { text: '700m', want: 0.7 },
    { text: '1900m', want: 1.9 },
    { text: '2e3', want: 2000 },
    { text: '1k', want: 1000 },
    { text: '1K', want: undefined },
    { text: '-1', want: -1 },
    { text: '.5', want: 0.5 },
    { text: '+1', want: 1 },
    { text: '5.', want: 5 },
    { text: '5e-1', want: 0.5 },
    { text: '1E9', want: 1e9 },
    { text: '1E', want: 1e18 },
    { text: '100u', want: 0.0001 },
    { text: '100n', want: 1e-7 },
    { text: '.5Gi', want: 2 ** 29 },
    { text: '.', want: undefined },
    { text: '', want: undefined },
    { text: '1'.repeat(65), want: undefined },
    { text: '1e1000', want: undefined },
    { text: 'Gi', want: undefined },
    { text: '1GiB', want: undefined },
  ];
  for (const { text, want } of rows) it(`reads ${text} as ${want}`, () => assert.equal(parseQuantity(text), want));
});

describe('parseQuantity, of CPU', () => {
  it('is the same in milli and in cores', () => {
    for (let milli = 0; milli < 20_000; milli += 1)
      assert.equal(parseQuantity(`${milli}m`), parseQuantity(String(milli / 1000)));
  });
});

describe('the grammar', () => {
  // kube-apiserver 1.35 accepts the texts in `taken`, and refuses those in `refused`, as a request of a Deployment.
  // test/conformance/onnxmodel/suite.ts checks the same against a real API server.
  const taken = [
    '0',
    '1',
    '+1',
    '-1',
    '-0',
    '00',
    '007',
    '1.',
    '.5',
    '0.5',
    '1.5',
    '+.5',
    '-.5',
    '5e-1',
    '5E-1',
    '1e3',
    '1E3',
    '1e+3',
    '1E9',
    '1e03',
    '1E',
    '1Ei',
    '1n',
    '1u',
    '1m',
    '100u',
    '100n',
    '0.5n',
    '1.5m',
    '1k',
    '1Ki',
    '1M',
    '1Mi',
    '1G',
    '1Gi',
    '1T',
    '1Ti',
    '1P',
    '1Pi',
    '1E1',
    '9E',
    '10E',
    '1.5E',
    '1e-9',
    '1e-10',
    '1e18',
    '1e19',
    '1e25',
    '0.1',
    '0.0001',
    '1.0005',
    '1.00000000049',
    '64.123456789123456Mi',
    '0.1Ki',
    '0.0000000001',
    '1e400',
    '1e-400',
    '1000m',
    '1000Ki',
    '1024Mi',
    '1500',
    '1000',
    '9223372036854775807',
    '9223372036854775808',
    '123456789012345678901234567890',
    '.5Gi',
    '5.Gi',
    '1.e3',
  ];
  const refused = [
    '',
    '1..2',
    '1.2.3',
    '1e',
    '1e3.5',
    '1e3Ki',
    '1 Gi',
    '1K',
    '1ki',
    '1mi',
    '1g',
    '1Zi',
    '1GiB',
    '1MB',
    '0x10',
    '1_000',
    '1,5',
    '١',
    '--1',
    'NaN',
    'Infinity',
    '1e999999999999999999999',
  ];
  for (const text of taken) {
    it(`takes ${text}, as Kubernetes does`, () => {
      assert.notEqual(parseQuantity(text), undefined);
      assert.equal(
        new RegExp(quantityPattern).test(text),
        !text.startsWith('-'),
        'the pattern of the CRD, which has no minus',
      );
    });
  }
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)}, as Kubernetes does`, () => {
      assert.equal(parseQuantity(text), undefined);
      assert.equal(new RegExp(quantityPattern).test(text) && !text.startsWith('1e99'), false);
    });
  }
  // Kubernetes reads these as 0, because its parser does not require a digit.
  for (const text of ['Gi', 'm', '.', '+'])
    it(`refuses ${text}, which is likely a mistake`, () => assert.equal(parseQuantity(text), undefined));

  const written = fc
    .tuple(
      fc.constantFrom('', '+', '-'),
      fc.nat(99_999),
      fc.stringMatching(/^[0-9]{0,4}$/),
      fc.constantFrom('n', 'u', 'm', '', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'E-2', 'e+1'),
    )
    .map(([sign, whole, fraction, suffix]) => `${sign}${whole}.${fraction}${suffix}`);
  it('gives a number and billionths that differ by at most one billionth', () => {
    fc.assert(
      fc.property(written, (text) => {
        const [number, nanos] = [parseQuantity(text) ?? NaN, Number(nanosOf(text)) / 1e9];
        assert.ok(Math.abs(number - nanos) <= 1e-9 + Math.abs(number) * 1e-12, `${text}: ${number} and ${nanos}`);
      }),
    );
  });
  it('keeps the amount in its canonical form', () => {
    fc.assert(fc.property(written, (text) => assert.equal(nanosOf(canonicalQuantity(text)), nanosOf(text))));
  });
});
