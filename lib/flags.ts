/** Error messages for a wrong command line: Node's own, without its advice about positional arguments. Pure. */
import { messageOf } from '../api/errors.ts';

/**
 * The first sentence of the error of parseArgs, such as "Unknown option '--x'". The rest of it explains how to pass a
 * positional argument that begins with a dash, which does not help a user who mistyped an option.
 */
export function flagProblem(error: unknown): string {
  return messageOf(error).split(/\.\s/)[0] ?? '';
}
