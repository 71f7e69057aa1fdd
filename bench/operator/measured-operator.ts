/**
 * The measured operator as a child process, together with all processes that it starts.
 * Owns: starting the operator, ending it by SIGKILL, its log, and its usage. The operator and its child processes form
 * a session of their own.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { sessionOf, usageOf, type Usage } from '../support/usage.ts';

export type OperatorCommand = {
  readonly argv: readonly string[];
  /** Path of the kubeconfig that the operator gets in the variable KUBECONFIG. */
  readonly kubeconfig: string;
  /** A URL that answers 200 when the operator is ready; undefined when the operator has no such URL. */
  readonly readyUrl: string | undefined;
  /** Path of the file for the operator's output. */
  readonly log: string;
};

const pollMs = 10;

export class MeasuredOperator {
  readonly #command: OperatorCommand;
  #child: ChildProcess | undefined;

  constructor(command: OperatorCommand) {
    this.#command = command;
  }

  start(): void {
    const { argv, kubeconfig, log } = this.#command;
    const [program = '', ...args] = argv;
    const output = openSync(log, 'a');
    this.#child = spawn(program, args, {
      stdio: ['ignore', output, output],
      env: { ...process.env, KUBECONFIG: kubeconfig },
      detached: true,
    });
    this.#child.once('error', () => {});
  }

  /** Kills the operator as a crash would: the operator cannot flush or release anything. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined || hasEnded(child)) return;
    const exited = once(child, 'exit');
    for (const pid of sessionOf(child.pid)) killIfThere(pid);
    await exited;
  }

  usage(): Usage {
    this.assertRunning();
    return usageOf(sessionOf(this.#child?.pid ?? -1));
  }

  /**
   * @throws Error with the last lines of the operator's output, when the operator was started and has ended by itself
   */
  assertRunning(): void {
    const child = this.#child;
    if (child === undefined || (child.pid !== undefined && !hasEnded(child))) return;
    const tail = readFileSync(this.#command.log, 'utf8').slice(-2000);
    const how = child.pid === undefined ? 'it did not start' : `${child.signalCode ?? `exit code ${child.exitCode}`}`;
    throw new Error(`the operator has ended by itself (${how}); the end of its output:\n${tail}`);
  }

  /** @returns milliseconds until the operator is ready; undefined when `readyUrl` is undefined */
  async whenReady(): Promise<number | undefined> {
    const { readyUrl } = this.#command;
    if (readyUrl === undefined) return undefined;
    const beganMs = performance.now();
    while (!(await answersOk(readyUrl))) {
      this.assertRunning();
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
    return performance.now() - beganMs;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended in the meantime.
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
