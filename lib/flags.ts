/**
 * Reads a command line. No other file calls Node's parseArgs, so all programs report a wrong command line in the same
 * way.
 * Throws: AppError BAD_FLAG, `COMMAND: unknown flag "--x"; available flags: --a, --b`.
 */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { AppError, messageOf } from '../api/errors.ts';

type Parsed<O extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O; strict: true; allowPositionals: true }>
>;

/**
 * Reads flags and arguments.
 *
 * @param command the name with which the error's message begins
 */
export function parseFlags<const O extends ParseArgsOptionsConfig>(
  command: string,
  argv: readonly string[],
  options: O,
): Parsed<O> {
  return parsed(command, options, () =>
    parseArgs({ args: [...argv], options, strict: true, allowPositionals: true }),
  ) as Parsed<O>;
}

/** Reads flags only; an argument is an error. */
export function parseOnlyFlags<const O extends ParseArgsOptionsConfig>(
  command: string,
  argv: readonly string[],
  options: O,
): Parsed<O>['values'] {
  return parsed(command, options, () => parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }))
    .values as Parsed<O>['values'];
}

function parsed<T>(command: string, options: ParseArgsOptionsConfig, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new AppError(
      'BAD_FLAG',
      { flag: command, problem: problemOf(error, Object.keys(options)) },
      { cause: error },
    );
  }
}

/**
 * Names the unknown flag. Of Node's other messages only the first sentence is used. The rest explains how to pass an
 * argument that begins with a dash, which does not help a user who mistyped a flag.
 */
function problemOf(error: unknown, names: readonly string[]): string {
  const [, flag] = /^Unknown option '([^']*)'/.exec(messageOf(error)) ?? [];
  if (flag === undefined) return messageOf(error).split(/\.\s/)[0] ?? '';
  return `unknown flag "${flag.slice(0, 80)}"; available flags: ${names.map((name) => `--${name}`).join(', ')}`;
}
