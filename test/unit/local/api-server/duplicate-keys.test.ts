/** Duplicate fields in a JSON text. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { duplicateKeys } from '../../../../local/api-server/duplicate-keys.ts';

describe('duplicateKeys', () => {
  const rows: readonly (readonly [name: string, text: string, want: readonly string[]])[] = [
    ['finds nothing in a text without duplicates', '{"a":{"b":1},"c":[{"b":1},{"b":2}]}', []],
    ['names the path', '{"a":{"b":1,"b":2}}', ['a.b']],
    ['counts items of lists', '{"a":[{}, {"b":1, "b" : 2}]}', ['a[1].b']],
    ['ignores strings that look like fields', '{"a":"\\"b\\":1,","b":"}{"}', []],
    ['sees through escapes', '{"a":1,"\\u0061":2}', ['a']],
    ['accepts lists and scalars at the root', '[1, null, true, "x"]', []],
    ['takes empty ones', '{"a":{},"b":[]}', []],
  ];
  for (const [name, text, want] of rows) it(name, () => assert.deepEqual(duplicateKeys(text), want));

  it('finds nothing in the output of JSON.stringify', () => {
    fc.assert(
      fc.property(fc.json(), fc.integer({ min: 0, max: 2 }), (text, indent) => {
        assert.deepEqual(duplicateKeys(JSON.stringify(JSON.parse(text), null, indent)), []);
      }),
    );
  });
});
