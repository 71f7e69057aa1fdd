/** What is wrong with a command line, in Node's words without its advice about positional arguments. Pure. */
import { messageOf } from '../api/errors.ts';

/**
 * The first sentence of what parseArgs threw: "Unknown option '--x'". What follows it advises to write an argument that
 * begins with a dash behind "--", which nobody who mistyped an option means.
 */
export function flagProblem(error: unknown): string {
  return messageOf(error).split(/\.\s/)[0] ?? '';
}
