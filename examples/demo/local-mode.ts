/**
 * Starts local mode as a child process, waits until it is ready, and ends it.
 * Owns: the child and its last lines on stderr. The child has its own process group, so Ctrl+C in a terminal does not
 * reach it directly. It gets one signal from `stop` and can end its pods in order.
 * Ends: `stop` resolves when the process has ended: SIGTERM first, SIGKILL after half a minute.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../lib/clock.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const linesKept = 40;
const endsWithinMs = 30_000;
const momentMs = 500;

export type LocalModeOptions = {
  readonly kubeconfig: string;
  readonly dataDir: string;
  /** Name of a volume claim → the folder that is mounted for it. */
  readonly volumes: Readonly<Record<string, string>>;
  readonly clock: Clock;
};

export class LocalMode {
  readonly #child: ChildProcess;
  readonly #clock: Clock;
  readonly #lines: string[] = [];
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess, clock: Clock) {
    this.#child = child;
    this.#clock = clock;
    this.#ended = once(child, 'exit').catch(() => undefined);
    if (child.stderr !== null) createInterface({ input: child.stderr }).on('line', (line) => this.#keep(line));
  }

  /**
   * Starts local mode and resolves when it is ready.
   * @throws Error with the last lines of local mode when it ends before it is ready, or the reason of the signal
   */
  static async start({ kubeconfig, dataDir, volumes, clock }: LocalModeOptions, stop: AbortSignal): Promise<LocalMode> {
    const flags = [
      '--kubeconfig',
      kubeconfig,
      '--data',
      dataDir,
      '--port',
      '0',
      ...Object.entries(volumes).flatMap(([claim, folder]) => ['--volume', `${claim}=${folder}`]),
    ];
    const child = spawn(process.execPath, ['local/main.ts', ...flags], {
      cwd: repository,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const mode = new LocalMode(child, clock);
    // When this process ends unexpectedly, end the child, too.
    process.once('exit', () => void child.kill('SIGTERM'));
    try {
      await mode.#saysReady(stop);
      return mode;
    } catch (error) {
      await mode.stop();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Whether the child has ended. It waits a moment before it decides, because the child's sockets close before its exit
   * is reported.
   */
  async hasEnded(): Promise<boolean> {
    await Promise.race([this.#ended, this.#clock.sleep(momentMs)]);
    return !this.#isRunning;
  }

  get #isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The last lines of the child's log, for an error message. */
  get lastWords(): string {
    return this.#lines.join('\n');
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#child.kill('SIGTERM');
    const callOff = this.#clock.after(endsWithinMs, () => this.#child.kill('SIGKILL'));
    await this.#ended;
    callOff();
  }

  #saysReady(stop: AbortSignal): Promise<void> {
    const { stdout } = this.#child;
    return new Promise((resolve, reject) => {
      if (stdout === null) return reject(new Error('local mode has no output'));
      createInterface({ input: stdout }).on('line', (line) => {
        if (/ready/i.test(line)) resolve();
      });
      stop.addEventListener('abort', () => reject(stop.reason), { once: true });
      this.#child.once('error', reject);
      return void this.#ended.then(() => reject(new Error(`local mode ended before it was ready:\n${this.lastWords}`)));
    });
  }

  #keep(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > linesKept) this.#lines.shift();
  }
}
