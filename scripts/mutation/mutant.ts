/** A mutant: one small change that makes the program wrong, and that a test has to notice. */

export type Mutant = {
  /** What is wrong with the program then, as a sentence. */
  readonly name: string;
  /** The exported function, class or constant that is changed; the file is found by it, so that it survives a move. */
  readonly of: string;
  /** The folder, where another one exports the same name. */
  readonly home?: string;
  /** A function of the same file that is not exported, where the text is in there. */
  readonly within?: string;
  /** Occurs exactly once in that function. */
  readonly from: string;
  readonly to: string;
  /** Globs of the test files that should notice; absent: those that import the file directly, or through few others. */
  readonly tests?: readonly string[];
};

/** Mutants that belong together, with the tests that most of them share. */
export function group(tests: readonly string[], mutants: readonly Mutant[]): readonly Mutant[] {
  return mutants.map((mutant) => ({ tests, ...mutant }));
}
