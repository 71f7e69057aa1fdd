/** A mutant: one small change that makes the program wrong, and for which a test must fail. */

export type Mutant = {
  /** A sentence that describes the wrong behaviour. */
  readonly name: string;
  /**
   * The exported function, class or constant to change. The mutant's file is found by this name, so the file can be
   * moved.
   */
  readonly of: string;
  /** The folder of the file. It is needed when a file in another folder exports the same name. */
  readonly home?: string;
  /** Another function in the same file, when the text is not in the exported function. */
  readonly within?: string;
  /** The text to replace, which occurs exactly once in the function. */
  readonly from: string;
  readonly to: string;
  /**
   * Globs of the test files that should fail. Absent: the test files that import the file directly, or through at most
   * two other files.
   */
  readonly tests?: readonly string[];
};

/** Mutants of one topic, with the tests that most of them share. */
export function group(tests: readonly string[], mutants: readonly Mutant[]): readonly Mutant[] {
  return mutants.map((mutant) => ({ tests, ...mutant }));
}
