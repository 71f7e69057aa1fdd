/**
 * The life of a process: signals, ordered shutdown, and logging of uncaught errors.
 * Owns: SIGTERM and SIGINT, `unhandledRejection` and `uncaughtException`. The main file of each program calls `run`,
 * which exits the process.
 * Ends: with the exit code that `main` returns. A second signal, later than `oneKeystrokeMs`, ends the process at once
 * with 130.
 */
import { AppError, kindOf } from '../api/errors.ts';
import { systemClock, type Clock } from './clock.ts';
import type { Logger } from './log.ts';

/** The meaning of each exit code; the README has the same table. */
export const exitCodes = {
  ok: 0,
  bug: 1,
  /** The user's input or configuration is wrong. */
  usage: 2,
  /** Another replica is the leader now. */
  lostLeadership: 3,
  /** An external system (registry, API server, network) could not be reached. */
  unavailable: 4,
  /** A command judged its input and found it bad, such as a recorded rollout that fails. */
  judgedBad: 5,
  /** A command had too little evidence to judge its input. */
  undecided: 6,
  /** SIGINT or SIGTERM came before a command had finished. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/**
 * Signals within this time of the first one count as the same key press: a terminal signals the whole process group,
 * and npm forwards its own signal.
 */
export const oneKeystrokeMs = 500;

export type SignalDeps = {
  readonly clock: Clock;
  /** The first signal: shut down in order. */ readonly end: (name: string) => void;
  /** A later signal: exit at once. */ readonly endNow: () => void;
};

/**
 * Distinguishes a second request to end from a duplicate of the first request.
 * @returns a function to call with the name of every SIGINT and SIGTERM
 */
export function signalHandler({ clock, end, endNow }: SignalDeps): (name: string) => void {
  let state: 'Running' | 'Ending' | 'Impatient' = 'Running';
  return (name) => {
    if (state === 'Impatient') endNow();
    if (state !== 'Running') return;
    state = 'Ending';
    // If the event loop was blocked, this timer runs before the handlers of the signals that arrived meanwhile. With
    // setImmediate the state changes only after these handlers, so these signals still count as duplicates of the first
    // one.
    clock.after(oneKeystrokeMs, () => setImmediate(() => (state = 'Impatient')));
    end(name);
  };
}

/**
 * Runs a program until it returns or a signal comes.
 * @param main gets a signal that SIGTERM or SIGINT aborts. It must then end everything that it started, and return
 * @param quit ends the process. The default is `process.exit`; give another function where that call could hang
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
    logger.error('unhandled promise rejection', { err });
    quit(exitCodes.bug);
  });
  process.on('uncaughtException', (err) => {
    logger.error('uncaught exception', { err });
    quit(exitCodes.bug);
  });
  try {
    quit(await main(stop.signal));
  } catch (error) {
    quit(sayAndChoose(error, logger));
  }
}

/** Prints the message of an expected error on stderr, or logs a bug with its stack. @returns the exit code */
function sayAndChoose(error: unknown, logger: Logger): ExitCode {
  const kind = kindOf(error);
  if (error instanceof AppError && kind !== 'bug') {
    process.stderr.write(`error: ${error.message}\n`);
    return kind === 'invalid' || kind === 'missing' ? exitCodes.usage : exitCodes.unavailable;
  }
  logger.error('program failed', { err: error });
  return exitCodes.bug;
}
