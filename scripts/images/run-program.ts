/**
 * Runs another program and returns its output.
 * Owns: the message of a failure: the command, its exit code, and the end of its output.
 */
import { spawnSync } from 'node:child_process';

/** An expected error of a build step: build.ts prints its message without a stack. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
}

const outputLimitBytes = 64 << 20;

export type RunOptions = {
  readonly cwd?: string;
  /** The whole environment of the program. Absent: this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
};

/**
 * @returns stdout, trimmed
 * @throws BuildError when the program is missing or fails
 */
export function runProgram(program: string, args: readonly string[], options: RunOptions = {}): string {
  const done = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: outputLimitBytes,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  if (done.error !== undefined) throw new BuildError(`${program} could not be run: ${done.error.message}`);
  if (done.status !== 0)
    throw new BuildError(
      `${program} ${args.join(' ')} ended with ${done.status ?? done.signal}:\n` +
        `${(done.stderr || done.stdout).slice(-2_000)}`,
    );
  return done.stdout.trim();
}

/** Whether `program` is in PATH. */
export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v "$1"`, 'sh', program], { stdio: 'ignore' }).status === 0;
}
