/**
 * A program that a story runs: the operator or local mode.
 * Owns: its process, and its last lines of output.
 * Ends: `stop` sends SIGTERM and waits. If the program does not end within `patienceMs`, `stop` kills it and throws.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const patienceMs = 30_000;
const keptCharacters = 20_000;

export class ChildProgram {
  readonly #name: string;
  readonly #child: ChildProcess;
  #said = '';
  #watchers: (() => void)[] = [];

  /** @param args the arguments of Node: a source file of the repository and its flags */
  constructor(name: string, args: readonly string[]) {
    this.#name = name;
    this.#child = spawn(process.execPath, args, { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] });
    const hear = (chunk: Buffer): void => {
      this.#said = (this.#said + chunk.toString()).slice(-keptCharacters);
      for (const watcher of this.#watchers) watcher();
    };
    this.#child.stdout?.on('data', hear);
    this.#child.stderr?.on('data', hear);
    this.#child.once('exit', () => {
      for (const watcher of this.#watchers) watcher();
    });
  }

  get lastLines(): string {
    return `── ${this.#name} ──\n${this.#said.split('\n').slice(-40).join('\n')}`;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Waits until the program has printed text that matches. */
  async says(pattern: RegExp, withinMs: number): Promise<void> {
    const end = AbortSignal.timeout(withinMs);
    while (!pattern.test(this.#said)) {
      if (this.hasEnded) throw new Error(`${this.#name} ended before it printed ${pattern}\n${this.lastLines}`);
      if (end.aborted)
        throw new Error(`${this.#name} did not print ${pattern} within ${withinMs} ms\n${this.lastLines}`);
      await new Promise<void>((resolve) => {
        this.#watchers = [resolve];
        end.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  async stop(): Promise<void> {
    if (this.hasEnded) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), patienceMs);
    await exit;
    clearTimeout(timer);
    if (this.#child.signalCode === 'SIGKILL')
      throw new Error(`${this.#name} did not end within ${patienceMs} ms of SIGTERM\n${this.lastLines}`);
  }

  async kill(): Promise<void> {
    if (this.hasEnded) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}
