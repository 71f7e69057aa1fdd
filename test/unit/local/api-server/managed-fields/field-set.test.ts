/** Sets of owned fields. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FieldSet, pathText } from '../../../../../local/api-server/managed-fields/field-set.ts';

const step = fc.constantFrom('f:a', 'f:b', 'k:{"name":"x"}', 'v:"y"');
const paths = fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 8 });
const sorted = (set: FieldSet): string[] =>
  [...set.paths()].map((path) => path.join(' ')).sort((a, b) => (a < b ? -1 : 1));
const texts = (list: readonly (readonly string[])[]): Set<string> => new Set(list.map((path) => path.join(' ')));

describe('FieldSet', () => {
  it('is written as FieldsV1', () => {
    const json = { 'f:spec': { '.': {}, 'f:parts': { 'k:{"name":"p"}': { '.': {}, 'f:weight': {} } } } };
    assert.deepEqual(FieldSet.fromJson(json).toJson(), json);
    assert.deepEqual(sorted(FieldSet.fromJson(json)), [
      'f:spec',
      'f:spec f:parts k:{"name":"p"}',
      'f:spec f:parts k:{"name":"p"} f:weight',
    ]);
  });

  it('can be read back', () => {
    fc.assert(
      fc.property(paths, (list) =>
        assert.deepEqual(sorted(FieldSet.fromJson(FieldSet.of(list).toJson())), sorted(FieldSet.of(list))),
      ),
    );
  });

  it('is a set', () => {
    fc.assert(
      fc.property(paths, paths, (a, b) => {
        const [left, right] = [FieldSet.of(a), FieldSet.of(b)];
        assert.deepEqual(new Set(sorted(left.union(right))), texts([...a, ...b]));
        assert.deepEqual(new Set(sorted(left.intersection(right))), texts(a).intersection(texts(b)));
        assert.deepEqual(new Set(sorted(left.difference(right))), texts(a).difference(texts(b)));
        assert.equal(left.isSameAs(right), texts(a).symmetricDifference(texts(b)).size === 0);
      }),
    );
  });

  it('loses subtrees, or a member alone', () => {
    const set = FieldSet.of([['f:a'], ['f:a', 'f:b'], ['f:c']]);
    assert.deepEqual(sorted(set.without([['f:a']])), ['f:c']);
    assert.deepEqual(sorted(set.without([['f:a', '.']])), ['f:a f:b', 'f:c']);
  });
});

describe('pathText', () => {
  it('writes a path in the form of conflict messages', () =>
    assert.equal(
      pathText(['f:spec', 'f:parts', 'k:{"name":"p","port":80}', 'f:tags', 'v:"x"']),
      '.spec.parts[name="p",port=80].tags[="x"]',
    ));
});
