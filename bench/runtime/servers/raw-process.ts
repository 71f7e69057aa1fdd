/**
 * The raw loop as a child process. It calls ONNX Runtime again and again, without a server.
 * Owns: the process; `end` ends it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RawJob, RawReport, RawStart } from '../raw/job.ts';

const program = fileURLToPath(new URL('../raw/raw-loop.ts', import.meta.url));

export class RawProcess {
  readonly #child: ChildProcess;

  private constructor(argv: readonly string[]) {
    const [command = '', ...args] = argv;
    this.#child = spawn(command, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    });
  }

  /** @param inGroup makes the command run in a control group */
  static async start(plan: RawStart, inGroup: (argv: readonly string[]) => readonly string[]): Promise<RawProcess> {
    const raw = new RawProcess(inGroup([process.execPath, program]));
    await raw.#ask(plan);
    return raw;
  }

  run(job: RawJob): Promise<RawReport> {
    return this.#ask(job) as Promise<RawReport>;
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask(message: RawStart | RawJob): Promise<unknown> {
    const ended = new AbortController();
    const whenEnded = once(this.#child, 'exit', { signal: ended.signal }).then(() => {
      throw new Error('the raw loop ended before it reported');
    });
    whenEnded.catch(() => {});
    const answered = once(this.#child, 'message', { signal: ended.signal });
    answered.catch(() => {});
    this.#child.send(message);
    try {
      const [answer] = (await Promise.race([answered, whenEnded])) as [unknown];
      return answer;
    } finally {
      ended.abort();
    }
  }
}
