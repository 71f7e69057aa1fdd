/** Canonical JSON must keep the bytes that it had in the first release, because its hashes name revisions. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonicalJson, goJson } from '../../../lib/canonical-json.ts';

/** An earlier implementation without a library. The current implementation must give the same bytes. */
function reference(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(reference).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, inner]) => inner !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, inner]) => `${JSON.stringify(key)}:${reference(inner)}`).join(',')}}`;
}

/** JSON that a Kubernetes API server can send. It has no lone surrogates, because its text is UTF-8. */
const json = fc.jsonValue({ stringUnit: 'binary', maxDepth: 6 });

describe('canonicalJson', () => {
  it('gives the same bytes as the former implementation', () => {
    fc.assert(
      fc.property(json, (value) => assert.equal(canonicalJson(value), reference(value))),
      { numRuns: 2000 },
    );
  });

  it('reads back as the same value with keys in order', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
        assert.equal(canonicalJson(JSON.parse(text)), text);
      }),
    );
  });

  // prettier-ignore
  const rows: readonly { readonly name: string; readonly value: unknown; readonly want: string }[] = [
    { name: 'orders keys by UTF-16 code units', value: { '\u{1F600}': 1, '\uFB33': 2, b: 3, a: 4, A: 5, 10: 6, 9: 7 },
      want: '{"10":6,"9":7,"A":5,"a":4,"b":3,"\u{1F600}":1,"\uFB33":2}' },
    { name: 'writes numbers as ECMAScript does', value: [1e21, 1e-7, -0, 0.1, 100, 333_333_333.333_333_3],
      want: '[1e+21,1e-7,0,0.1,100,333333333.3333333]' },
    { name: 'leaves out members that are undefined', value: { a: undefined, b: { c: undefined } }, want: '{"b":{}}' },
    { name: 'escapes only what JSON requires', value: 'é\u2028\n\u0001"', want: '"é\u2028\\n\\u0001\\""' },
    { name: 'takes __proto__ as a key', value: JSON.parse('{"b":1,"__proto__":{"a":2}}'),
      want: '{"__proto__":{"a":2},"b":1}' },
    { name: 'writes an absent value as null', value: undefined, want: 'null' },
  ];
  for (const { name, value, want } of rows) it(name, () => assert.equal(canonicalJson(value), want));
});

describe('goJson', () => {
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly value: unknown; readonly text: string }[] = [
    { name: 'sorts fields at every level', value: { b: { d: 1, c: 2 }, a: [{ f: 1, e: 2 }] },
      text: '{"a":[{"e":2,"f":1}],"b":{"c":2,"d":1}}' },
    { name: 'escapes what Go escapes for HTML', value: 'https://x/?a=1&b=<2>',
      text: String.raw`"https://x/?a=1\u0026b=\u003c2\u003e"` },
    { name: 'escapes the line separators of JavaScript', value: '\u2028\u2029', text: String.raw`"\u2028\u2029"` },
  ];
  for (const { name, value, text } of rows) {
    it(name, () => assert.equal(goJson(value), text));
    it(`${name}, and stays the same JSON`, () => assert.deepEqual(JSON.parse(goJson(value)), value));
  }
});
