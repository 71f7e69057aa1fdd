/**
 * Runs the operator as a child process of local mode, which is a Kubernetes cluster in one process.
 * Owns: starting the operator, restarting it with back-off when it ends, and ending it. The operator's log goes to the
 * stderr of local mode.
 * Ends: `stop` sends SIGTERM, so that the operator releases its Lease, and SIGKILL after ten seconds.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { backoffMs } from '../lib/retry.ts';
import { killGroup, type ProcessRecords } from './kubelet/process-records.ts';

const backoff = { baseMs: 1000, maxMs: 30_000 };
/** A run that lasts longer than this many milliseconds resets the back-off. */
const goodRunMs = 60_000;
const stopWithinMs = 10_000;

export type OperatorProcessDeps = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly processes: ProcessRecords;
};

export class OperatorProcess {
  readonly #deps: OperatorProcessDeps;
  readonly #argv: readonly string[];
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #failures = 0;
  #callOff: (() => void) | undefined;
  #stopped = false;

  /** @param argv the program and its arguments */
  constructor(argv: readonly string[], deps: OperatorProcessDeps) {
    this.#argv = argv;
    this.#deps = deps;
    this.#start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#callOff?.();
    const pid = this.#child?.pid;
    if (pid !== undefined) {
      killGroup(pid, 'SIGTERM');
      this.#callOff = this.#deps.clock.after(stopWithinMs, () => void killGroup(pid, 'SIGKILL'));
    }
    await this.#ended;
    this.#callOff?.();
  }

  #start(): void {
    const { clock, processes } = this.#deps;
    const [program = '', ...args] = this.#argv;
    const startedAt = clock.monotonic();
    // Give the operator its own process group: Ctrl+C in a terminal then does not reach it directly, and local mode can
    // end it in order.
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 2, 2] });
    this.#child = child;
    if (child.pid !== undefined) processes.add(child.pid);
    this.#ended = new Promise((resolve) => {
      const settle = (how: object): void => {
        this.#onEnd(child, clock.monotonic() - startedAt, how);
        resolve();
      };
      child.once('exit', (code, signal) => settle({ code, signal }));
      child.once('error', (error) => settle({ problem: error.message }));
    });
  }

  #onEnd(child: ChildProcess, ranMs: number, how: object): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    if (child.pid !== undefined) {
      killGroup(child.pid, 'SIGKILL');
      this.#deps.processes.remove(child.pid);
    }
    if (this.#stopped) return;
    this.#failures = ranMs > goodRunMs ? 1 : this.#failures + 1;
    const waitMs = Math.round(backoffMs(backoff, this.#failures, Math.random()));
    this.#deps.logger.warn('the operator ended; starting it again', { ...how, waitMs });
    this.#callOff = this.#deps.clock.after(waitMs, () => this.#start());
  }
}
