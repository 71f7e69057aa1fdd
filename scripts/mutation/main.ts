/**
 * `npm run test:mutation`: changes the program in one place after another, and checks that a test fails each time. Such
 * a change is a mutant. It is killed when a test fails, and survives otherwise.
 * Owns: the flags, the order, and the last line of the output. The list of mutants is in `mutants/`.
 * Ends: the last line is only `N passed, N failed`, where a killed mutant counts as passed. Exits with 0 when every
 * mutant was killed, 1 when one survived, 2 when the list or a flag is wrong.
 */
import '../node-guard.cjs';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { messageOf } from '../../api/errors.ts';
import { MutantError, partForCommit, partOf } from './find.ts';
import { mutants } from './mutants/index.ts';
import { prepare, runMutants, sourceFiles, type Prepared } from './run.ts';

const usage = `usage: npm run test:mutation -- [options]

Applies each mutant of scripts/mutation/mutants to a copy of the working tree and runs the tests that should fail. \
A mutant that
no test fails for has survived: write the test.

  --part K/N     the K-th of N parts of the list; commit/N: the part that the hash of HEAD chooses
  --only TEXT    mutants with that text in their names
  --at-a-time N  test processes beside each other (default: 2)
  --list         prints the names, the files and the tests, and runs nothing
`;

const repository = fileURLToPath(new URL('../..', import.meta.url));
const flags = {
  part: { type: 'string' },
  only: { type: 'string' },
  'at-a-time': { type: 'string', default: '2' },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function chosen(all: readonly Prepared[], part: string | undefined, only: string | undefined): readonly Prepared[] {
  const named = only === undefined ? all : all.filter(({ mutant }) => mutant.name.includes(only));
  if (part === undefined) return named;
  const [, which = '', count = ''] = /^(\d+|commit)\/(\d+)$/.exec(part) ?? [];
  const parts = Number(count);
  const k =
    which === 'commit'
      ? partForCommit(execFileSync('git', ['rev-parse', 'HEAD'], { cwd: repository, encoding: 'utf8' }).trim(), parts)
      : Number(which);
  if (!(k >= 1 && k <= parts)) throw new MutantError(`--part: '${part}' is not K/N with K from 1 to N, or commit/N`);
  console.log(`part ${k} of ${parts}`);
  return partOf(named, k, parts);
}

async function main(): Promise<number> {
  const values = parseOnlyFlags('mutation', process.argv.slice(2), flags);
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  // Prepare all mutants before a part is chosen. A mutant that no longer matches the sources is then reported in every
  // part.
  const prepared = chosen(prepare(repository, sourceFiles(repository), mutants), values.part, values.only);
  if (values.list) {
    for (const { mutant, path, tests } of prepared)
      console.log(`${mutant.name}\n  ${path}: ${mutant.within ?? mutant.of}\n  ${tests.join(' ')}`);
    console.log(`${prepared.length} mutants`);
    return 0;
  }
  const { killed, survived } = await runMutants(repository, prepared, {
    atATime: Math.max(1, Number(values['at-a-time']) || 2),
    tell: (line) => console.log(line),
  });
  for (const name of survived) console.log(`survived: ${name}`);
  console.log(`${killed} passed, ${survived.length} failed`);
  return survived.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
