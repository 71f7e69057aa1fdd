/**
 * The process under test: a child process with one model server for each model.
 * Owns: starting and ending the child, and its memory as the kernel counts it. The child runs `server-program.ts`.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export type Ports = ReadonlyMap<string, number>;

const program = fileURLToPath(new URL('./server-program.ts', import.meta.url));
/** The limit of the child's heap: a leak then becomes a crash before the machine runs out of memory. */
const heapMb = 512;

export class Servers {
  readonly ports: Ports;
  readonly #child: ChildProcess;
  readonly #said: () => string;

  private constructor(child: ChildProcess, ports: Ports, said: () => string) {
    this.#child = child;
    this.ports = ports;
    this.#said = said;
  }

  /** Starts the child. @throws Error when the child ends before it is ready */
  static async start(): Promise<Servers> {
    const child = fork(program, [], {
      execArgv: [`--max-old-space-size=${heapMb}`],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, MALLOC_ARENA_MAX: '2' },
    });
    let text = '';
    const hear = (bytes: Buffer): void => {
      text = (text + bytes.toString()).slice(-8192);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    const ports = await new Promise<Ports>((resolve, reject) => {
      child.once('message', (message) => resolve(new Map(message as [string, number][])));
      child.once('exit', (code, signal) =>
        reject(new Error(`the servers ended before they were ready (${String(code ?? signal)}):\n${text}`)),
      );
    });
    return new Servers(child, ports, () => text);
  }

  /** How the child ended; undefined while it runs. */
  get death(): string | undefined {
    const { exitCode, signalCode } = this.#child;
    return exitCode === null && signalCode === null
      ? undefined
      : `the server process ended (${String(exitCode ?? signalCode)}):\n${this.#said()}`;
  }

  /** The last output of the child. */
  get said(): string {
    return this.#said();
  }

  /** The child's resident memory in MiB; 0 when it has ended. */
  async memoryMib(): Promise<number> {
    const text = await readFile(`/proc/${this.#child.pid ?? 0}/status`, 'utf8').catch(() => '');
    return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024);
  }

  /** Ends the child. It normally ends by itself when its parent closes the channel; otherwise it is killed. */
  async stop(): Promise<void> {
    if (this.death !== undefined) return;
    const gone = new Promise((resolve) => {
      this.#child.once('exit', resolve);
    });
    this.#child.disconnect();
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(kill);
  }
}
