/**
 * The life of a process: signals, ordered shutdown, and the last word when something nobody caught goes wrong.
 *
 * Owns: SIGTERM and SIGINT, `unhandledRejection` and `uncaughtException`. Mains call `run`; nothing else
 *       exits the process.
 * Ends: with the exit code that `main` returns. A second signal ends at once with 130.
 */
import { AppError, kindOf } from '../api/errors.ts';
import type { Logger } from './log.ts';

/** What a process's exit code means; the README's table says the same. */
export const exitCodes = {
  ok: 0,
  bug: 1,
  /** The user's input or configuration is wrong. */
  usage: 2,
  /** Another replica leads now. */
  lostLeadership: 3,
  /** Something outside (registry, API server, network) could not be reached. */
  unavailable: 4,
  /** A command judged something, and it is bad. */
  judgedBad: 5,
  /** A command judged something, and there is too little to say. */
  undecided: 6,
  /** SIGINT or SIGTERM came before a command had done its work. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/**
 * Runs a program until it returns or a signal comes.
 *
 * @param main gets a signal that is aborted by SIGTERM or SIGINT; it then ends what it began and returns
 * @param quit ends the process; another one where `process.exit` could wait for ever
 */
export async function run(logger: Logger, main: (stop: AbortSignal) => Promise<ExitCode>, quit: (code: ExitCode) => never = (code) => process.exit(code)): Promise<never> {
  const stop = new AbortController();
  const onSignal = (name: string): void => {
    if (stop.signal.aborted) quit(exitCodes.interrupted);
    stop.abort(new Error(`received ${name}`));
  };
  process.on('SIGTERM', () => onSignal('SIGTERM'));
  process.on('SIGINT', () => onSignal('SIGINT'));
  process.on('unhandledRejection', (err) => {
    logger.error('promise rejected with nobody to catch it', { err });
    quit(exitCodes.bug);
  });
  process.on('uncaughtException', (err) => {
    logger.error('exception with nobody to catch it', { err });
    quit(exitCodes.bug);
  });
  try {
    quit(await main(stop.signal));
  } catch (error) {
    quit(sayAndChoose(error, logger));
  }
}

/** A user's mistake is a sentence on stderr; a bug is a log line with its stack. */
function sayAndChoose(error: unknown, logger: Logger): ExitCode {
  const kind = kindOf(error);
  if (error instanceof AppError && kind !== 'bug') {
    process.stderr.write(`error: ${error.message}\n`);
    return kind === 'invalid' || kind === 'missing' ? exitCodes.usage : exitCodes.unavailable;
  }
  logger.error('program failed', { err: error });
  return exitCodes.bug;
}
