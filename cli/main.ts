#!/usr/bin/env node
/**
 * `kubectl-onnx`, also `kubectl onnx`: commands for OnnxModels that kubectl itself does not have.
 *
 * Owns: the list of subcommands. Their files are in cli/commands; intend.ts has the commands that write an intent (a
 * request such as promote or pause).
 * Exits with the subcommand's exit code, or 2 for an unknown subcommand.
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
  status: { about: 'show what serves, the rollout in progress, and problems, on one page', main: status },
  watch: { about: 'show steps, traffic and gates of a rollout until it is decided', main: watch },
  wait: { about: 'wait until a model is ready or its rollout has failed', main: wait },
  ...Object.fromEntries(
    (Object.keys(verbs) as VerbName[]).map((name) => [name, { about: verbs[name].about, main: intend(name) }]),
  ),
  undo: { about: 'restore the spec of an older revision', main: undo },
  validate: { about: 'check manifests without a cluster, for pipelines', main: validate },
  replay: { about: 'judge a recorded canary offline with the gates of a manifest', main: replay },
};

function help(): string {
  const list = Object.entries(commands).map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`);
  const more = 'Run "kubectl-onnx COMMAND --help" for details.';
  return `Usage: kubectl-onnx COMMAND [options]\n\n${list.join('\n')}\n\n${more}\n`;
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
      flag: 'kubectl-onnx',
      problem: `unknown command "${name.slice(0, 80)}"; available commands: ${Object.keys(commands).join(', ')}`,
    });
  try {
    return await command.main(rest, write, stop, terminal());
  } catch (error) {
    // When a signal interrupted the command, its error is not a failure.
    if (stop.aborted) return exitCodes.interrupted;
    throw error;
  }
}

/** In `replay … | head`, the program that reads the output ends first. This is not a failure, so exit with 0. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  throw error;
});

await run(createLogger('kubectl-onnx', 'warn'), (stop) => main(process.argv.slice(2), stop));
