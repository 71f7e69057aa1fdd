/**
 * Structured logging: JSON lines on stderr, constant messages, variable parts as fields.
 * Owns: the logger's interface, redaction, and how errors are written. stdout is only for what a command prints to its
 * user.
 * Rule: do not log tensors, bodies, tokens or URLs with credentials. As a safeguard, fields named token, password or
 * authorization are redacted at the top level and one level below it.
 */
import { pino, type Logger as PinoLogger } from 'pino';
import { AppError } from '../api/errors.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/** pino takes `fields` first; here the message comes first, because people search logs by message. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  /** Whether `debug` writes. Callers ask before they make fields for every request. */
  readonly isDebug?: boolean;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * @param level lines below this level are not written
 * @param name the program's name, in every line
 */
export function createLogger(name: string, level: LogLevel = 'info'): Logger {
  const options = {
    name,
    level,
    base: { name },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: ['token', 'password', 'authorization', '*.token', '*.password', '*.authorization'],
      censor: '[redacted]',
    },
    serializers: { err: describeError },
  };
  return wrap(pino(options, pino.destination({ dest: 2, sync: true })));
}

/** Discards everything. For tests, and for commands whose output is read by people. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};

function wrap(logger: PinoLogger): Logger {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    isDebug: logger.isLevelEnabled('debug'),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => wrap(logger.child(fields)),
  };
}

/**
 * An AppError is written without its stack, unless its kind is `bug`; any other Error is written with its stack. The
 * cause of an error is written by the same rule.
 */
function describeError(error: unknown): LogFields {
  if (error instanceof AppError) {
    return {
      code: error.code,
      kind: error.kind,
      message: error.message,
      ...(error.kind === 'bug' ? { stack: error.stack } : {}),
      ...causeOf(error),
    };
  }
  if (error instanceof Error) return { message: error.message, stack: error.stack, ...causeOf(error) };
  return { message: String(error) };
}

function causeOf(error: Error): LogFields {
  return error.cause === undefined ? {} : { cause: describeError(error.cause) };
}
