/**
 * The life of a process: signals, ordered shutdown, and the last word when something nobody caught goes wrong.
 *
 * Owns: SIGTERM and SIGINT, `unhandledRejection` and `uncaughtException`. Mains call `run`; nothing else
 *       exits the process.
 * Ends: with the exit code that `main` returns. A second signal, later than `oneKeystrokeMs`, ends at once with 130.
 */
import { AppError, kindOf } from '../api/errors.ts';
import { systemClock, type Clock } from './clock.ts';
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
 * Signals this close to the first one are the same key press: a terminal signals the whole group, and npm forwards its
 * own.
 */
export const oneKeystrokeMs = 500;

export type SignalDoors = {
  readonly clock: Clock;
  /** The first signal: end in order. */ readonly end: (name: string) => void;
  /** A later one: end now. */ readonly endNow: () => void;
};

/**
 * Tells a second request to end from an echo of the first.
 *
 * @returns to be called with the name of every SIGINT and SIGTERM
 */
export function signalHandler({ clock, end, endNow }: SignalDoors): (name: string) => void {
  let state: 'Running' | 'Ending' | 'Impatient' = 'Running';
  return (name) => {
    if (state === 'Impatient') endNow();
    if (state !== 'Running') return;
    state = 'Ending';
    // setImmediate: after a blocked event loop, timers run before the signals that came meanwhile.
    clock.after(oneKeystrokeMs, () => setImmediate(() => (state = 'Impatient')));
    end(name);
  };
}

/**
 * Runs a program until it returns or a signal comes.
 *
 * @param main gets a signal that is aborted by SIGTERM or SIGINT; it then ends what it began and returns
 * @param quit ends the process; another one where `process.exit` could wait for ever
 */
export async function run(
  logger: Logger,
  main: (stop: AbortSignal) => Promise<ExitCode>,
  quit: (code: ExitCode) => never = (code) => process.exit(code),
): Promise<never> {
  const stop = new AbortController();
  const onSignal = signalHandler({
    clock: systemClock,
    end: (name) => stop.abort(new Error(`received ${name}`)),
    endNow: () => quit(exitCodes.interrupted),
  });
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
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
