/** Fields that a JSON text gives twice. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { duplicateKeys } from '../../../../local/api-server/duplicate-keys.ts';

describe('duplicateKeys', () => {
  const rows: readonly (readonly [name: string, text: string, want: readonly string[]])[] = [
    ['finds none where there are none', '{"a":{"b":1},"c":[{"b":1},{"b":2}]}', []],
    ['names the path', '{"a":{"b":1,"b":2}}', ['a.b']],
    ['counts items of lists', '{"a":[{}, {"b":1, "b" : 2}]}', ['a[1].b']],
    ['is not misled by text that looks like fields', '{"a":"\\"b\\":1,","b":"}{"}', []],
    ['sees through escapes', '{"a":1,"\\u0061":2}', ['a']],
    ['takes lists and scalars at the root', '[1, null, true, "x"]', []],
    ['takes empty ones', '{"a":{},"b":[]}', []],
  ];
  for (const [name, text, want] of rows) it(name, () => assert.deepEqual(duplicateKeys(text), want));

  it('finds nothing in what JSON.stringify wrote', () => {
    fc.assert(
      fc.property(fc.json(), fc.integer({ min: 0, max: 2 }), (text, indent) => {
        assert.deepEqual(duplicateKeys(JSON.stringify(JSON.parse(text), null, indent)), []);
      }),
    );
  });
});
