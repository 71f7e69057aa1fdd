#!/usr/bin/env node
/**
 * `kubectl-onnx`, also `kubectl onnx`: what people do with OnnxModels beyond kubectl itself.
 *
 * Owns: the list of subcommands. Each is a file of its own that gets its arguments and a way to write.
 * Ends: with the subcommand's exit code; 2 for one that does not exist.
 */
import '../scripts/node-guard.cjs';
import { AppError } from '../api/errors.ts';
import { exitCodes, run, type ExitCode } from '../lib/lifecycle.ts';
import { createLogger } from '../lib/log.ts';
import { intend, verbs, type VerbName } from './commands/intend.ts';
import { replay } from './commands/replay.ts';
import { status } from './commands/status.ts';
import { coloured, unpainted, type Terminal } from './text/terminal.ts';
import { undo } from './commands/undo.ts';
import { validate } from './commands/validate.ts';
import { wait } from './commands/wait.ts';
import { watch } from './commands/watch.ts';

type Command = {
  readonly about: string;
  readonly main: (
    argv: readonly string[],
    write: (text: string) => void,
    stop: AbortSignal,
    terminal: Terminal,
  ) => Promise<ExitCode>;
};

const commands: Readonly<Record<string, Command>> = {
  status: { about: 'what serves, what is to come, what is wrong, on one page', main: status },
  watch: { about: 'a rollout as it goes: steps, traffic, gates; until it is decided', main: watch },
  wait: { about: 'end as soon as a model is ready, or is certain not to become so', main: wait },
  ...Object.fromEntries(
    (Object.keys(verbs) as VerbName[]).map((name) => [name, { about: verbs[name].about, main: intend(name) }]),
  ),
  undo: { about: 'put the spec of an older revision back', main: undo },
  validate: { about: 'check manifests without a cluster, for pipelines', main: validate },
  replay: { about: 'judge a recorded canary offline, by the gates of a manifest', main: replay },
};

function help(): string {
  const list = Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`);
  return `Usage: kubectl-onnx COMMAND [options]\n\n${list.join('\n')}\n\n"kubectl-onnx COMMAND --help" says more.\n`;
}

function terminal(): Terminal {
  const { stdout } = process;
  const isLive = stdout.isTTY === true && process.env['TERM'] !== 'dumb';
  const { NO_COLOR: noColour = '' } = process.env;
  return {
    isLive,
    paint: isLive && noColour === '' ? coloured : unpainted,
    columns: () => (isLive ? stdout.columns : Infinity),
    rows: () => (isLive ? stdout.rows : Infinity),
  };
}

async function main(argv: readonly string[], stop: AbortSignal): Promise<ExitCode> {
  const write = (text: string): void => void process.stdout.write(text);
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === 'help') {
    write(help());
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined)
    throw new AppError('BAD_FLAG', {
      flag: name,
      problem: `unknown command; available commands: ${Object.keys(commands).join(', ')}`,
    });
  try {
    return await command.main(rest, write, stop, terminal());
  } catch (error) {
    // Whatever the signal cut short is no failure of its own.
    if (stop.aborted) return exitCodes.interrupted;
    throw error;
  }
}

/** `replay … | head` ends the reader first: that is no failure. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  throw error;
});

await run(createLogger('kubectl-onnx', 'warn'), (stop) => main(process.argv.slice(2), stop));
