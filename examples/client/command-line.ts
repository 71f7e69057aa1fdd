/** What the examples' commands share: asking for a flag that has to be there, and printing. */
import { AppError } from '../../api/errors.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';

/** @throws AppError BAD_FLAG when the flag was not given */
export function need(value: string | undefined, flag: string): string {
  if (value === undefined) throw new AppError('BAD_FLAG', { flag, problem: 'is needed' });
  return value;
}

export function print(text: string): ExitCode {
  process.stdout.write(text);
  return exitCodes.ok;
}
