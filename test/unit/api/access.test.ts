/** The access file of a revision. */
import assert from 'node:assert/strict';
import { isToken, parseAccess, printAccess } from '../../../api/access.ts';

const token = 'Az09-_'.padEnd(43, 'x');

// prettier-ignore
const rows: readonly { readonly name: string; readonly text: string; readonly want: unknown }[] = [
  { name: 'accepts the text of printAccess', text: printAccess({ schema: 1, token }), want: { schema: 1, token } },
  { name: 'accepts the text of printAccess with a rate', text: printAccess({ schema: 1, token, sampleRate: 0.05 }),
    want: { schema: 1, token, sampleRate: 0.05 } },
  { name: 'ignores a rate above 1',
    text: JSON.stringify({ schema: 1, token, sampleRate: 2 }), want: { schema: 1, token } },
  { name: 'ignores a rate that is not a number',
    text: JSON.stringify({ schema: 1, token, sampleRate: '1' }), want: { schema: 1, token } },
  { name: 'ignores unknown fields', text: JSON.stringify(
      { schema: 1, token, more: true }), want: { schema: 1, token } },
  { name: 'refuses another schema', text: JSON.stringify({ schema: 2, token }), want: undefined },
  { name: 'refuses a short token', text: JSON.stringify({ schema: 1, token: token.slice(1) }), want: undefined },
  { name: 'refuses a token of other characters',
    text: JSON.stringify({ schema: 1, token: token.replace('-', '\n') }), want: undefined },
  { name: 'refuses a missing token', text: '{"schema":1}', want: undefined },
  { name: 'refuses what is not an object', text: '[]', want: undefined },
  { name: 'refuses what is not JSON', text: '', want: undefined },
];

describe('parseAccess', () => {
  for (const { name, text, want } of rows) it(name, () => assert.deepEqual(parseAccess(text), want));
});

describe('isToken', () => {
  it('accepts 256 bits in base64url', () => assert.ok(isToken(Buffer.alloc(32, 0xfb).toString('base64url'))));
  it('refuses anything else', () =>
    assert.deepEqual(['', 'x', undefined, 3, `${token}=`, [token]].map(isToken), Array(6).fill(false)));
});
