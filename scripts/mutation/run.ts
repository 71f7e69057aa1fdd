/**
 * The mutation run: finds the files and tests of each mutant, then runs one test process for each mutant. A mutant is a
 * small change that makes the program wrong. It is killed when a test fails, and survives otherwise.
 * Owns: the copies of the tree (one for each parallel process), the first run without a mutant, which must pass, and
 * the verdict.
 * Limits: a mutant's tests may take one minute, or five times the longest run without a mutant if that is longer. A run
 * that takes more time is stopped, and its mutant counts as killed.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../api/errors.ts';
import { TreeCopy, type TestRun } from './copy.ts';
import { mutated, MutantError, type Source } from './find.ts';
import type { Mutant } from './mutant.ts';
import { TestFinder } from './tests-of.ts';

export type Prepared = {
  readonly mutant: Mutant;
  readonly path: string;
  readonly text: string;
  readonly tests: readonly string[];
};
export type Outcome = { readonly killed: number; readonly survived: readonly string[] };
export type RunOptions = { readonly atATime: number; readonly tell: (line: string) => void };

const leastMs = 60_000;
/** Folders that do not belong to the program, so their exports cannot be mutated. */
const notProgram = /^(?:test|scripts|docs|node_modules|examples|bench)\//;

/** Files that git tracks, and new files that it does not ignore. */
export function sourceFiles(root: string): readonly string[] {
  const list = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const deleted = new Set(
    execFileSync('git', ['ls-files', '--deleted', '-z'], { cwd: root, encoding: 'utf8' }).split('\0'),
  );
  return list.split('\0').filter((path) => path !== '' && !deleted.has(path));
}

/**
 * Finds the file and the tests of each mutant. @throws MutantError that names every mutant that does not match the
 * sources
 */
export function prepare(root: string, files: readonly string[], mutants: readonly Mutant[]): readonly Prepared[] {
  const names = new Set(mutants.map(({ name }) => name));
  if (names.size !== mutants.length)
    throw new MutantError(
      'two mutants have the same name: ' +
        `${mutants.map(({ name }) => name).find((name, at, all) => all.indexOf(name) !== at) ?? ''}`,
    );
  const sources: readonly Source[] = files
    .filter((path) => path.endsWith('.ts') && !notProgram.test(path))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));
  const finder = new TestFinder(root);
  const problems: string[] = [];
  const prepared = mutants.flatMap((mutant) => {
    try {
      const { path, text } = mutated(sources, mutant);
      return [{ mutant, path, text, tests: finder.testsOf(mutant, path) }];
    } catch (error) {
      problems.push(messageOf(error));
      return [];
    }
  });
  if (problems.length > 0) throw new MutantError(problems.join('\n'));
  return prepared;
}

/** Runs the tests of each mutant. @throws MutantError when the tests fail without a mutant */
export async function runMutants(
  root: string,
  prepared: readonly Prepared[],
  { atATime, tell }: RunOptions,
): Promise<Outcome> {
  const files = sourceFiles(root);
  const copies = Array.from({ length: atATime }, () => TreeCopy.make(root, files));
  const end = (): void => {
    for (const copy of copies) copy.remove();
  };
  process
    .once('SIGTERM', () => {
      end();
      process.exit(143);
    })
    .once('SIGINT', () => {
      end();
      process.exit(130);
    });
  try {
    const limitMs = await baseline(copies, prepared, tell);
    const waiting = prepared.values();
    const survived: string[] = [];
    // All copies of the tree share one iterator: each copy takes the next mutant when its previous mutant is done.
    const lane = async (copy: TreeCopy): Promise<void> => {
      for (const next of waiting) if (!(await kill(copy, next, limitMs, tell))) survived.push(next.mutant.name);
    };
    await Promise.all(copies.map(lane));
    return { killed: prepared.length - survived.length, survived };
  } finally {
    end();
  }
}

/**
 * Runs every test file once, without a mutant.
 * @returns the time limit of a mutant's tests
 */
async function baseline(
  copies: readonly TreeCopy[],
  prepared: readonly Prepared[],
  tell: (line: string) => void,
): Promise<number> {
  const tests = [...new Set(prepared.flatMap((one) => one.tests))].toSorted();
  tell(`${prepared.length} mutants, ${tests.length} test files`);
  const shares = copies.map((copy, index) => ({ copy, mine: tests.filter((_, at) => at % copies.length === index) }));
  const runs = await Promise.all(
    shares
      .filter(({ mine }) => mine.length > 0)
      .map(({ copy, mine }) => copy.test(mine, 10 * leastMs, { bail: false })),
  );
  const failed = runs.find((run) => run.kind !== 'Passed');
  if (failed !== undefined) throw new MutantError(`the tests fail without a mutant:\n${failed.output.slice(-6000)}`);
  return Math.max(leastMs, 5 * Math.max(...runs.map(({ ms }) => ms)));
}

async function kill(
  copy: TreeCopy,
  { mutant, path, text, tests }: Prepared,
  limitMs: number,
  tell: (line: string) => void,
): Promise<boolean> {
  const undo = copy.change(path, text);
  let run: TestRun;
  try {
    run = await copy.test(tests, limitMs);
  } finally {
    undo();
  }
  if (/SyntaxError|ERR_INVALID_TYPESCRIPT_SYNTAX/.test(run.output) && !/\d+ passing/.test(run.output))
    throw new MutantError(`mutant "${mutant.name}": the changed file cannot be loaded:\n${run.output.slice(-2000)}`);
  const seconds = (run.ms / 1000).toFixed(1);
  tell(
    `${run.kind === 'Passed' ? 'SURVIVED' : 'killed'}  ${mutant.name} (${path}, ${seconds} ` +
      `s${run.kind === 'Late' ? ', time is over' : ''})`,
  );
  return run.kind !== 'Passed';
}
