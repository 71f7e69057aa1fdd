/** Messages about a wrong command line. */
import assert from 'node:assert/strict';
import { parseFlags, parseOnlyFlags } from '../../../lib/flags.ts';

const options = { url: { type: 'string' }, quiet: { type: 'boolean', short: 'q', default: false } } as const;

describe('parseFlags', () => {
  it('returns flags, defaults and arguments', () => {
    const { values, positionals } = parseFlags('tool', ['a', '--url=u', 'b'], options);
    assert.deepEqual({ ...values }, { url: 'u', quiet: false });
    assert.deepEqual(positionals, ['a', 'b']);
  });

  // prettier-ignore
  const wrong: readonly { readonly name: string; readonly args: readonly string[]; readonly says: string }[] = [
    { name: 'names an unknown flag, and the available flags',
      args: ['--bogus'], says: 'tool: unknown flag "--bogus"; available flags: --url, --quiet' },
    { name: 'names a short flag that does not exist',
      args: ['-x'], says: 'tool: unknown flag "-x"; available flags: --url, --quiet' },
    { name: 'repeats no more than 80 characters of a flag', args: [`--${'x'.repeat(200)}`],
      says: `tool: unknown flag "--${'x'.repeat(78)}"; available flags: --url, --quiet` },
    { name: 'reports a missing value', args: ['--url'], says: "tool: Option '--url <value>' argument missing" },
    { name: 'reports a value of a flag that does not take one', args: ['--quiet=yes'],
      says: "tool: Option '-q, --quiet' does not take an argument" },
    { name: 'reports a value that begins with a dash in one sentence',
      args: ['--url', '--quiet'], says: "tool: Option '--url' argument is ambiguous" },
  ];
  for (const { name, args, says } of wrong) {
    it(name, () =>
      assert.throws(() => parseFlags('tool', args, options), {
        code: 'BAD_FLAG',
        kind: 'invalid',
        message: `${says} (see --help)`,
      }),
    );
  }
});

describe('parseOnlyFlags', () => {
  it('returns flags and defaults', () =>
    assert.deepEqual({ ...parseOnlyFlags('tool', [], options) }, { quiet: false }));
  it('refuses an argument', () =>
    assert.throws(() => parseOnlyFlags('tool', ['a'], options), {
      code: 'BAD_FLAG',
      message: "tool: Unexpected argument 'a' (see --help)",
    }));
});
