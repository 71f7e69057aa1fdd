import assert from 'node:assert/strict';
import { isSame, isSameJson } from '../../../lib/json.ts';

describe('structural equality', () => {
  const rows: readonly { readonly name: string; readonly a: unknown; readonly b: unknown; readonly same: boolean }[] = [
    { name: 'equal objects', a: { a: [1, { b: null }] }, b: { a: [1, { b: null }] }, same: true },
    { name: 'fields in another order', a: { a: 1, b: 2 }, b: { b: 2, a: 1 }, same: true },
    { name: 'items in another order', a: [1, 2], b: [2, 1], same: false },
    { name: 'another value', a: { a: { b: 1 } }, b: { a: { b: 2 } }, same: false },
    { name: 'one field more', a: { a: 1 }, b: { a: 1, b: 2 }, same: false },
    { name: 'one field less', a: { a: 1, b: 2 }, b: { a: 1 }, same: false },
    { name: 'null and an absent field', a: { a: null }, b: {}, same: false },
    { name: 'a list and an object', a: [], b: {}, same: false },
    { name: 'a field that only the prototype has', a: { constructor: 1 }, b: {}, same: false },
    { name: 'the text of a number', a: { a: 1 }, b: { a: '1' }, same: false },
  ];
  for (const { name, a, b, same } of rows)
    it(`of ${name} is ${same}`, () => assert.deepEqual([isSame(a, b), isSameJson(a, b)], [same, same]));

  it('counts an undefined field as absent where values are JSON', () => {
    assert.ok(isSameJson({ a: 1, b: undefined }, { a: 1 }));
    assert.ok(isSameJson({ a: 1 }, { a: 1, b: undefined }));
    assert.ok(!isSameJson({ a: undefined }, { a: null }));
  });
});
