/** A mutant: one small change that makes the program wrong, and for which a test must fail. */

export type Mutant = {
  /** The wrong behaviour, as a sentence. */
  readonly name: string;
  /**
   * The exported function, class or constant to change. The file is found by it, so the mutant survives a move of the
   * file.
   */
  readonly of: string;
  /** The folder of the file, needed when a file in another folder exports the same name. */
  readonly home?: string;
  /** The function that contains the text, when it is not the exported one but another in the same file. */
  readonly within?: string;
  /** The text to replace, which occurs exactly once in the function. */
  readonly from: string;
  readonly to: string;
  /**
   * Globs of the test files that should fail. Absent: the test files that import the file directly or through few
   * others.
   */
  readonly tests?: readonly string[];
};

/** Mutants of one topic, with the tests that most of them share. */
export function group(tests: readonly string[], mutants: readonly Mutant[]): readonly Mutant[] {
  return mutants.map((mutant) => ({ tests, ...mutant }));
}
