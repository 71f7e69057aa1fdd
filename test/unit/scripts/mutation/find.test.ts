/**
 * The mutator finds functions by their exported name, reports a text that is missing, and puts every mutant into
 * exactly one part.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { extentOf, mutated, MutantError, partForCommit, partOf } from '../../../../scripts/mutation/find.ts';
import type { Mutant } from '../../../../scripts/mutation/mutant.ts';
import { mutants } from '../../../../scripts/mutation/mutants/index.ts';
import { prepare, sourceFiles } from '../../../../scripts/mutation/run.ts';
import { TestFinder } from '../../../../scripts/mutation/tests-of.ts';

const root = join(import.meta.dirname, '..', '..', '..', '..');

const text = `/** Header. */
import { x } from './x.ts';

export const limit = 5;

export function first(a: number): boolean {
  if (a > limit) {
    return true;
  }
  return helper(a);
}

function helper(a: number): boolean {
  return a > limit;
}

export class Queue {
  take(): number {
    return 1;
  }
}

export function wide(
  a: number,
  b: number,
): number {
  return a + b;
}

export const table = {
  one: 1,
} as const;

export const sum =
  wide(1, 2);

export function spread(list: number[]): number {
  return wide(
    first(1) &&
      list.length > limit,
    2,
  );
}
`;
const sources = [
  { path: 'operator/a.ts', text },
  { path: 'operator/b.ts', text: 'export function other(): void {}\n' },
];
const mutant = (more: Partial<Mutant>): Mutant => ({
  name: 'm',
  of: 'first',
  from: 'a > limit',
  to: 'a < limit',
  ...more,
});

describe('mutated', () => {
  it('changes the text inside the exported function alone', () => {
    const { path, text: changed } = mutated(sources, mutant({}));
    assert.equal(path, 'operator/a.ts');
    assert.equal(changed, text.replace('if (a > limit)', 'if (a < limit)'));
  });

  it('changes a function of the same file that is not exported', () => {
    assert.equal(
      mutated(sources, mutant({ within: 'helper' })).text,
      text.replace('return a > limit', 'return a < limit'),
    );
  });

  it('does not treat $ in the new text as a pattern', () => {
    assert.match(mutated(sources, mutant({ to: "'$&'" })).text, /if \('\$&'\)/);
  });

  // prettier-ignore
  const layouts: readonly { readonly name: string; readonly from: string;
    readonly to: string; readonly body: string }[] = [
    { name: 'a line break for a space', from: 'first(1) && list',
      to: 'list', body: 'wide(\n    list.length > limit,\n    2,\n  )' },
    { name: 'a line break for nothing, and a comma at the end', from: 'limit, 2)',
      to: 'limit, 3)', body: 'wide(\n    first(1) &&\n      list.length > limit, 3)' },
    { name: 'white space at the ends for as much as there is', from: ' first(1) && ',
      to: '', body: 'wide(list.length > limit,\n    2,\n  )' },
  ];
  for (const { name, from, to, body } of layouts) {
    it(`takes ${name}`, () => {
      const { text: changed } = mutated(sources, mutant({ of: 'spread', from, to }));
      assert.equal(changed, text.replace(/(?<=return )wide\([^]*?\n {2}\)/, body));
    });
  }

  it('does not join two words', () => {
    assert.throws(() => mutated(sources, mutant({ of: 'spread', from: 'returnwide' })), /occurs 0 times/);
  });

  const rows: readonly { readonly name: string; readonly more: Partial<Mutant>; readonly says: RegExp }[] = [
    { name: 'a name that no file exports', more: { of: 'missing' }, says: /mutant "m": no file exports missing/ },
    { name: 'a function that is not exported', more: { of: 'helper' }, says: /no file exports helper/ },
    {
      name: 'a helper that the file does not have',
      more: { within: 'other' },
      says: /operator\/a\.ts has no function other/,
    },
    { name: 'a missing text', more: { from: 'a >= limit' }, says: /occurs 0 times in first, not once/ },
    { name: 'a text that occurs twice', more: { from: 'return' }, says: /occurs 2 times in first, not once/ },
    { name: 'a change without an effect', more: { to: 'a > limit' }, says: /changes nothing/ },
  ];
  for (const { name, more, says } of rows) {
    it(`refuses ${name}`, () =>
      assert.throws(
        () => mutated(sources, mutant(more)),
        (error: unknown) => error instanceof MutantError && says.test(error.message),
      ));
  }

  it('refuses a name that two files export', () => {
    const twice = [...sources, { path: 'cli/c.ts', text: 'export function first(): boolean {\n  return true;\n}\n' }];
    assert.throws(() => mutated(twice, mutant({})), /operator\/a\.ts and cli\/c\.ts export first/);
    assert.equal(mutated(twice, mutant({ home: 'operator/' })).path, 'operator/a.ts');
  });
});

describe('extentOf', () => {
  const rows: readonly {
    readonly name: string;
    readonly of: string;
    readonly begins: string;
    readonly ends: string;
  }[] = [
    { name: 'a constant of one line', of: 'limit', begins: 'export const limit', ends: '= 5;' },
    { name: 'a class with its methods', of: 'Queue', begins: 'export class Queue', ends: '  }\n}' },
    {
      name: 'a function whose parameters take several lines',
      of: 'wide',
      begins: 'export function wide(',
      ends: 'return a + b;\n}',
    },
    { name: 'a constant that begins on the next line', of: 'sum', begins: 'export const sum', ends: 'wide(1, 2);' },
    { name: 'an object', of: 'table', begins: 'export const table', ends: '} as const;' },
  ];
  for (const { name, of, begins, ends } of rows) {
    it(`covers ${name}`, () => {
      const [begin, end] = extentOf(text, of, true) ?? [0, 0];
      const found = text.slice(begin, end);
      assert.ok(found.startsWith(begins) && found.endsWith(ends), found);
    });
  }
});

describe('parts', () => {
  it('contain every mutant exactly once', () => {
    for (const parts of [1, 2, 3, 7]) {
      const all = Array.from({ length: parts }, (_, index) => partOf(mutants, index + 1, parts)).flat();
      assert.deepEqual(all.map(({ name }) => name).toSorted(), mutants.map(({ name }) => name).toSorted());
    }
  });

  it('are all chosen by some commit, and equal commits choose the same part', () => {
    const chosen = new Set(
      Array.from({ length: 64 }, (_, index) => partForCommit(`abcdef${(index * 2654435761).toString(16)}`, 4)),
    );
    assert.deepEqual(
      [...chosen].toSorted((a, b) => a - b),
      [1, 2, 3, 4],
    );
    assert.equal(partForCommit('57587bc', 4), partForCommit('57587bc', 4));
  });
});

describe('the list of mutants', () => {
  it('has at least sixty, each with a unique name', () => {
    assert.ok(mutants.length >= 60);
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  });

  it('matches the sources, and each mutant has a test file', () => {
    assert.equal(prepare(root, sourceFiles(root), mutants).length, mutants.length);
  });

  it('finds the tests that import a file, the nearest first', () => {
    const found = new TestFinder(root).testsOf(mutant({}), 'operator/rollout/replicas.ts');
    assert.ok(found.slice(0, 2).includes('test/unit/operator/rollout/replicas.test.ts'), found.join(' '));
  });

  it('refuses a glob without a file', () => {
    assert.throws(
      () =>
        new TestFinder(root).testsOf(mutant({ tests: ['test/unit/none/*.test.ts'] }), 'operator/reconcile/drift.ts'),
      MutantError,
    );
  });
});
