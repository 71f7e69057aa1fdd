/** The bill of materials of an image. */
import assert from 'node:assert/strict';
import { billOfMaterials, type BillOf } from '../../../../scripts/images/sbom.ts';

const of: BillOf = {
  title: 'onnx-operator',
  version: '1.2.3',
  debian: [{ name: 'libc6', version: '1:2.41-12+b1', architecture: 'amd64', sha256: 'ab'.repeat(32) }],
  osRelease: 'PRETTY_NAME="Debian GNU/Linux 13"\nVERSION_ID="13"\nID=debian\n',
  node: '26.10.0',
  npm: [
    { name: '@scope/a', version: '1.0.0', license: 'MIT OR Apache-2.0', integrity: 'sha512-q83v' },
    { name: 'b', version: '2.0.0', license: undefined, integrity: undefined },
  ],
};

type Component = { readonly purl: string; readonly hashes?: readonly object[]; readonly licenses?: readonly object[] };

describe('the bill of materials', () => {
  const bill = JSON.parse(billOfMaterials(of)) as {
    readonly bomFormat: string;
    readonly specVersion: string;
    readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
    readonly components: readonly Component[];
  };

  it('is CycloneDX 1.5 and describes the image', () => {
    assert.deepEqual([bill.bomFormat, bill.specVersion], ['CycloneDX', '1.5']);
    assert.deepEqual([bill.metadata.component.name, bill.metadata.component.version], ['onnx-operator', '1.2.3']);
  });

  it('names every package by its package URL', () =>
    assert.deepEqual(
      bill.components.map(({ purl }) => purl),
      [
        'pkg:deb/debian/libc6@1%3A2.41-12%2Bb1?arch=amd64&distro=debian-13',
        'pkg:generic/node@26.10.0',
        'pkg:npm/%40scope/a@1.0.0',
        'pkg:npm/b@2.0.0',
      ],
    ));

  it('has checksums in hex, and licenses', () => {
    const [libc, , a, b] = bill.components;
    assert.deepEqual(libc?.hashes, [{ alg: 'SHA-256', content: 'ab'.repeat(32) }]);
    assert.deepEqual(a?.hashes, [{ alg: 'SHA-512', content: 'abcdef' }]);
    assert.deepEqual(a?.licenses, [{ expression: 'MIT OR Apache-2.0' }]);
    assert.deepEqual([b?.hashes, b?.licenses], [undefined, undefined]);
  });

  it('is the same text for the same contents', () => assert.equal(billOfMaterials(of), billOfMaterials({ ...of })));
});
