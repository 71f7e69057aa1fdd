/** Names from untrusted input are looked up among an object's own properties, not inherited ones. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { ioChange, modelIo } from '../../../api/model-io.ts';
import { ownValue } from '../../../api/record.ts';
import { pickGoldenFile } from '../../../operator/golden/golden-set.ts';
import { parseSourceUri } from '../../../runtime/prepare/sources/index.ts';
import { hasFormat } from '../../../kube/schema/validate.ts';
import { at } from '../../../lib/json.ts';
import { inheritedNames } from '../../support/inherited-names.ts';
import { withoutComments } from '../../support/imports.ts';

const root = join(import.meta.dirname, '..', '..', '..');

describe('a name that every object inherits', () => {
  it('is not found in a table', () => {
    for (const name of inheritedNames) assert.equal(ownValue({ a: 1 }, name), undefined, name);
  });

  it('is found where the table has it itself', () => {
    fc.assert(
      fc.property(fc.constantFrom(...inheritedNames), fc.integer(), (name, value) => {
        assert.equal(ownValue(Object.fromEntries([[name, value]]), name), value);
      }),
    );
  });

  // prettier-ignore
  const uses: readonly { readonly where: string; readonly check: (name: string) => void }[] = [
    { where: 'the scheme of a model URI', check:
        (name) => assert.throws(() => parseSourceUri(`${name}:x`,
        { allowFile: false, pinned: true }), { code: 'SOURCE_INVALID' }) },
    { where: 'an input that the candidate does not have',
      check: (name) => assert.match(ioChange(modelIo([{ name, type: 'float32' }],
        []), modelIo([], []), 'Compatible') ?? '', /is missing/) },
    { where: 'an output that the candidate does not have',
      check: (name) => assert.match(ioChange(modelIo([], [{ name, type: 'float32' }]),
        modelIo([], []), 'Compatible') ?? '', /is missing/) },
    { where: 'the key of a binary golden set',
      check: (name) => assert.deepEqual(pickGoldenFile(
        { metadata: { name: 'g' }, binaryData: Object.fromEntries([[name, 'AAAA']]) }),
        { kind: 'file', file: { name: 'golden.bin', base64: 'AAAA' } }) },
    { where: 'a string format', check: (name) => assert.equal(hasFormat('text', name), true) },
    { where: 'a missing field', check: (name) => assert.equal(at({}, name), undefined) },
  ];
  for (const { where, check } of uses) {
    it(`is not found as ${where}`, () => {
      for (const name of inheritedNames) check(name);
    });
  }
});

/**
 * Finds lookups `x[name]` in a table `const x: Readonly<Record<string, …>> = {…}`. Such a lookup would also find
 * inherited properties.
 */
function plainLookups(path: string): readonly string[] {
  // Skip these files: they look up a unit only after their grammar has matched the unit.
  if (/(?:units|quantit\w+)\.ts$/.test(path)) return [];
  const source = withoutComments(readFileSync(path, 'utf8'));
  const tables = [
    ...source.matchAll(/^(?:export )?const (\w+): Readonly<\s*Record<\s*string,(?:(?!\n\n)[^])*?>\s*=\s*\{/gm),
  ].map(([, name = '']) => name);
  return tables
    .filter(
      (name) => new RegExp(`(?<![.\\w])${name}\\[[a-zA-Z]`).test(source) && !source.includes(`Object.hasOwn(${name}, `),
    )
    .map((name) => `${path}: ${name}`);
}

describe('tables of constants', () => {
  it('are read with ownValue or Object.hasOwn, never with a plain lookup', () => {
    const files = ['api', 'lib', 'operator', 'runtime', 'cli', 'local'].flatMap((home) =>
      readdirSync(join(root, home), { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.ts'))
        .map((path) => join(root, home, path)),
    );
    assert.deepEqual(
      files.flatMap(plainLookups).map((found) => found.slice(root.length + 1)),
      [],
    );
  });
});
