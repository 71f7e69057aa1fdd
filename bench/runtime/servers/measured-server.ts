/**
 * A server under measurement as a child process, together with all processes that it starts.
 * Owns: the processes, their log, pausing them while another server is measured, and ending them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { startOf, treeOf } from '../../support/usage.ts';

export type ServerCommand = {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
  /** Path of the file for the server's output. */
  readonly log: string;
  /** The port, or how to find it in the output. */
  readonly port: number | RegExp;
  /** False when the server does not survive a pause. */
  readonly canPause: boolean;
  /** A path that answers 200 when the server is ready; undefined when the output with the port says so. */
  readonly readyPath: string | undefined;
};

const pollMs = 50;
const readyWithinMs = 120_000;

export class MeasuredServer {
  readonly #command: ServerCommand;
  readonly #child: ChildProcess;
  /**
   * All processes of the server that were seen, with their start times. Some keep running after their parent has ended.
   */
  readonly #known = new Map<number, number | undefined>();
  #port = 0;

  private constructor(command: ServerCommand) {
    this.#command = command;
    const [program = '', ...args] = command.argv;
    const output = openSync(command.log, 'a');
    this.#child = spawn(program, args, {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...command.env },
      cwd: command.cwd,
      detached: true,
    });
    this.#child.once('error', () => {});
  }

  /** @throws Error with the end of the server's output when it ended, or was not ready in time */
  static async start(command: ServerCommand, stop: AbortSignal): Promise<MeasuredServer> {
    const server = new MeasuredServer(command);
    try {
      await server.#untilReady(stop);
      return server;
    } catch (error) {
      await server.end();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  get pids(): readonly number[] {
    const pids = treeOf(this.#child.pid ?? -1);
    for (const pid of pids) if (!this.#known.has(pid)) this.#known.set(pid, startOf(pid));
    return pids;
  }

  /** Whether the server's first process still runs. */
  get isRunning(): boolean {
    return !this.#hasEnded;
  }

  /** Stops all processes of the server, so that an idle server that polls takes no CPU from a measured one. */
  pause(): void {
    if (this.#command.canPause) this.#signal('SIGSTOP', this.pids);
  }

  resume(): void {
    if (this.#command.canPause) this.#signal('SIGCONT', this.pids);
  }

  async end(): Promise<void> {
    const exited = this.#hasEnded ? undefined : once(this.#child, 'exit');
    const running = this.pids;
    const left = [...this.#known].filter(([pid, start]) => start !== undefined && startOf(pid) === start);
    this.#signal('SIGKILL', new Set([...running, ...left.map(([pid]) => pid)]));
    await exited;
  }

  get #hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL', pids: Iterable<number>): void {
    for (const pid of pids) {
      try {
        process.kill(pid, name);
      } catch {
        // The process has ended in the meantime.
      }
    }
  }

  async #untilReady(stop: AbortSignal): Promise<void> {
    const beganMs = performance.now();
    while (!(await this.#isReady())) {
      stop.throwIfAborted();
      if (this.#hasEnded || performance.now() - beganMs > readyWithinMs) {
        const how = this.#hasEnded ? 'ended before it was ready' : `was not ready within ${readyWithinMs / 1000} s`;
        throw new Error(`the server ${how}; the end of its output: ${this.#output().slice(-600)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async #isReady(): Promise<boolean> {
    const { port, readyPath } = this.#command;
    this.#port = typeof port === 'number' ? port : Number(port.exec(this.#output())?.[1] ?? 0);
    if (this.#port === 0 || readyPath === undefined) return this.#port !== 0;
    try {
      return (await fetch(`http://127.0.0.1:${this.#port}${readyPath}`)).ok;
    } catch {
      return false;
    }
  }

  #output(): string {
    return readFileSync(this.#command.log, 'utf8');
  }
}
