/** JSON from outside: bounded in depth before it is parsed. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { deeperThan, parseJson } from '../../../../runtime/protocol/json.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('deeperThan', () => {
  it('counts as a parser does, whatever the texts inside', () => {
    const value = fc.letrec((tie) => ({
      node: fc.oneof({ maxDepth: 5 }, fc.string({ unit: fc.constantFrom('"', '\\', '[', '{', ']', 'a') }), fc.array(tie('node'), { maxLength: 3 }), fc.dictionary(fc.constantFrom('"', '[', '\\', 'k'), tie('node'), { maxKeys: 2 })),
    })).node;
    fc.assert(fc.property(value, fc.integer({ min: 0, max: 6 }), (given, max) => {
      assert.equal(deeperThan(bytes(JSON.stringify(given)), max), depthOf(given) > max);
    }));
  });

  it('survives a string without an end', () => assert.equal(deeperThan(bytes('["abc\\'), 5), false));
});

describe('parseJson', () => {
  const rows: readonly [string, Uint8Array, RegExp][] = [
    ['nothing', bytes(''), /the body is not JSON: it ends too early/],
    ['half of it', bytes('{"a": [1, 2'), /the body is not JSON: /],
    ['something else', bytes('<xml/>'), /the body is not JSON: unexpected character/],
    ['what is not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), /the body is not JSON: it is not UTF-8/],
    ['what is too deep', bytes('[[[[1]]]]'), /the body is nested deeper than 3 levels/],
  ];
  for (const [name, given, says] of rows) it(`refuses ${name}`, () => assert.throws(() => parseJson(given, 3, 'the body'), says));
  it('quotes nothing of a body', () => assert.throws(() => parseJson(bytes('{"password": hunter2}'), 3, 'the body'), (error: unknown) => !String(error).includes('hunter2')));
  it('parses the rest', () => assert.deepEqual(parseJson(bytes('{"a": [1]}'), 3, 'the body'), { a: [1] }));
});
