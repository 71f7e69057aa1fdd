/** Shared code of the examples' commands: required flags, and printing. */
import { AppError } from '../../api/errors.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';

/** The value of a required flag. @throws AppError BAD_FLAG when the flag is missing */
export function need(value: string | undefined, flag: string): string {
  if (value === undefined) throw new AppError('BAD_FLAG', { flag, problem: 'is needed' });
  return value;
}

export function print(text: string): ExitCode {
  process.stdout.write(text);
  return exitCodes.ok;
}
