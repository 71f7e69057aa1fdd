/**
 * Chooses the tests for a mutant of a file. A mutant is a small change that makes the program wrong.
 * Owns: the choice. A mutant's globs are used if it has any. Otherwise, the test files are used that import the file
 * directly or through at most two other files.
 * Limits: `mostTests` files, the nearest first, so that a mutant does not take too long.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { importsOf } from '../../test/support/imports.ts';
import { MutantError } from './find.ts';
import type { Mutant } from './mutant.ts';

const mostTests = 8;
const furthest = 3;
const testGlobs = ['test/unit/**/*.test.ts', 'test/story/**/*.test.ts'];

export class TestFinder {
  readonly #root: string;
  readonly #imports = new Map<string, readonly string[]>();
  #distances: readonly (readonly [string, ReadonlyMap<string, number>])[] | undefined;

  /** @param root the root of the repository */
  constructor(root: string) {
    this.#root = root;
  }

  /**
   * The test files for a mutant. @throws MutantError when no test file is found, or when one of the mutant's globs does
   * not match a file
   */
  testsOf(mutant: Mutant, path: string): readonly string[] {
    const found = mutant.tests === undefined ? this.#importing(path) : this.#named(mutant.tests, mutant.name);
    if (found.length === 0) throw new MutantError(`mutant "${mutant.name}": no test file imports ${path}`);
    return found;
  }

  #named(globs: readonly string[], name: string): readonly string[] {
    return [
      ...new Set(
        globs.flatMap((glob) => {
          const found = globSync(glob, { cwd: this.#root }).toSorted();
          if (found.length === 0) throw new MutantError(`mutant "${name}": no test file matches ${glob}`);
          return found;
        }),
      ),
    ];
  }

  #importing(path: string): readonly string[] {
    this.#distances ??= testGlobs
      .flatMap((glob) => globSync(glob, { cwd: this.#root }))
      .map((test) => [test, this.#reachedFrom(test)] as const);
    return this.#distances
      .map(([test, reached]) => ({ test, distance: reached.get(path) ?? Infinity }))
      .filter(({ distance }) => distance <= furthest)
      .toSorted((a, b) => a.distance - b.distance || (a.test < b.test ? -1 : 1))
      .slice(0, mostTests)
      .map(({ test }) => test);
  }

  #reachedFrom(test: string): ReadonlyMap<string, number> {
    const reached = new Map([[test, 0]]);
    for (const [path, distance] of reached) {
      if (distance === furthest) continue;
      for (const next of this.#importsOf(path)) if (!reached.has(next)) reached.set(next, distance + 1);
    }
    return reached;
  }

  #importsOf(path: string): readonly string[] {
    let found = this.#imports.get(path);
    if (found === undefined) {
      const specifiers = importsOf(readFileSync(join(this.#root, path), 'utf8')).filter(
        (specifier) => specifier.startsWith('.') && specifier.endsWith('.ts'),
      );
      // An import statement in a string counts, too: the search does not distinguish strings from code.
      found = specifiers
        .map((specifier) => normalize(join(dirname(path), specifier)))
        .filter((file) => existsSync(join(this.#root, file)));
      this.#imports.set(path, found);
    }
    return found;
  }
}
