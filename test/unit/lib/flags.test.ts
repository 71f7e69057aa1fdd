/** Messages about a wrong command line. */
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { flagProblem } from '../../../lib/flags.ts';

const options = { url: { type: 'string' }, quiet: { type: 'boolean' } } as const;

// prettier-ignore
const rows: readonly { readonly name: string; readonly args: readonly string[]; readonly says: string }[] = [
  { name: 'names an option that does not exist, without advice about arguments',
    args: ['--bogus'], says: "Unknown option '--bogus'" },
  { name: 'says that a value is missing', args: ['--url'], says: "Option '--url <value>' argument missing" },
  { name: 'says that an option takes no value', args: ['--quiet=yes'],
    says: "Option '--quiet' does not take an argument" },
  { name: 'gives one sentence about a value that begins with a dash',
    args: ['--url', '--quiet'], says: "Option '--url' argument is ambiguous" },
];

describe('flagProblem', () => {
  for (const { name, args, says } of rows) {
    it(name, () =>
      assert.throws(
        () => parseArgs({ args: [...args], options, allowPositionals: true }),
        (error) => flagProblem(error) === says,
      ),
    );
  }
});
