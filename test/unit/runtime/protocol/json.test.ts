/** JSON from clients: its depth and its memory are checked before it is parsed. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { countParts, parseJson, parsedBytes } from '../../../../runtime/protocol/json.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('countParts', () => {
  it('counts depth like a parser, for any strings inside', () => {
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 5 },
        fc.string({ unit: fc.constantFrom('"', '\\', '[', '{', ']', 'a') }),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('"', '[', '\\', 'k'), tie('node'), { maxKeys: 2 }),
      ),
    })).node;
    fc.assert(
      fc.property(value, fc.integer({ min: 0, max: 6 }), (given, max) => {
        assert.equal(countParts(bytes(JSON.stringify(given)), max).depth > max, depthOf(given) > max);
      }),
    );
  });

  it('handles a string without an end', () => assert.equal(countParts(bytes('["abc\\'), 5).depth, 1));

  const counted: readonly { readonly text: string; readonly want: Partial<ReturnType<typeof countParts>> }[] = [
    { text: '[[],[],[1,2]]', want: { lists: 4, objects: 0, texts: 0, keys: 0 } },
    { text: '{"a":1,"b":{"c":"[,]"}}', want: { lists: 0, objects: 2, keys: 3, texts: 4, wide: false } },
    { text: '["\\u0101"]', want: { texts: 1, wide: true } },
    { text: '["\\""," ]"]', want: { texts: 2, lists: 1, entries: 3 } },
  ];
  for (const { text, want } of counted)
    it(`counts ${text}`, () =>
      assert.deepEqual({ ...countParts(bytes(text), 9), ...want }, countParts(bytes(text), 9)));
});

describe('parseJson', () => {
  const rows: readonly [string, Uint8Array, RegExp][] = [
    ['nothing', bytes(''), /the body is not JSON: it ends too early/],
    ['incomplete text', bytes('{"a": [1, 2'), /the body is not JSON: /],
    ['other text', bytes('<xml/>'), /the body is not JSON: unexpected character/],
    ['text that is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /the body is not JSON: it is not UTF-8/],
    ['text nested too deeply', bytes('[[[[1]]]]'), /the body is nested deeper than 3 levels/],
  ];
  for (const [name, given, says] of rows)
    it(`refuses ${name}`, () => assert.throws(() => parseJson(given, { maxDepth: 3 }, 'the body'), says));
  it('does not quote the body', () =>
    assert.throws(
      () => parseJson(bytes('{"password": hunter2}'), { maxDepth: 3 }, 'the body'),
      (error: unknown) => !String(error).includes('hunter2'),
    ));

  const bombs: readonly { readonly name: string; readonly text: string }[] = [
    { name: 'empty lists', text: `{"inputs":[${'[],'.repeat(1000)}[]]}` },
    { name: 'small objects', text: `[${'{"a":1},'.repeat(1000)}1]` },
    { name: 'many keys', text: `{${Array.from({ length: 1000 }, (_, key) => `"k${key}":1`).join(',')}}` },
    { name: 'numbers', text: `[${'1e0,'.repeat(2000)}1]` },
    { name: 'escapes', text: `["${'\\u0101'.repeat(4000)}"]` },
  ];
  for (const { name, text } of bombs) {
    it(`refuses ${name} that would need more memory than the limit, with the numbers, before parsing`, () => {
      const need = parsedBytes(countParts(bytes(text), 9));
      assert.throws(
        () => parseJson(bytes(text), { maxDepth: 9, memoryBytes: need - 1, advice: 'send less' }, 'the body'),
        (error: unknown) => {
          assert.match(
            String(error),
            new RegExp(
              `parsing the body needs about .* of memory \\(${text.length} bytes .*, the limit is ` + '.*: send less$',
            ),
          );
          return (error as { code?: string }).code === 'REQUEST_TOO_LARGE';
        },
      );
      parseJson(bytes(text), { maxDepth: 9, memoryBytes: need }, 'the body');
    });
  }

  it('parses text within the limits', () =>
    assert.deepEqual(parseJson(bytes('{"a": [1]}'), { maxDepth: 3 }, 'the body'), { a: [1] }));
});

describe('parsedBytes', () => {
  /**
   * The bytes of memory counted for `text`, minus those for `number`: a list with the same number of values, all
   * numbers.
   */
  const more = (text: string, number: string): number =>
    parsedBytes(countParts(bytes(text), 9)) - parsedBytes(countParts(bytes(number.padEnd(text.length)), 9));
  const rows: readonly {
    readonly name: string;
    readonly text: string;
    readonly number: string;
    readonly least: number;
  }[] = [
    { name: 'an empty list', text: '[[],1]', number: '[1,1]', least: 48 + 64 },
    { name: 'an empty object', text: '[{},1]', number: '[1,1]', least: 48 + 64 },
    { name: 'a key', text: '{"a":1}', number: '[1]', least: 256 },
    { name: 'a text', text: '["a"]', number: '[1]', least: 24 },
  ];
  for (const { name, text, number, least } of rows) {
    it(`charges ${name} with at least ${least} bytes more than a number`, () =>
      assert.ok(more(text, number) >= least, String(more(text, number))));
  }
});
