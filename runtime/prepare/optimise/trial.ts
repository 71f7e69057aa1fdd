/**
 * Loads and runs a model in a separate process, and measures it.
 *
 * Owns:   the child process: its start, its memory (measured every 10 ms) and its end. A crash of ONNX Runtime is
 *         returned as an outcome and does not affect this process.
 * Limits: kills the child when it exceeds its limit for anonymous memory or its time limit.
 * Ends:   when the child has ended; an abort kills it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../../lib/clock.ts';
import type { TrialMessage, TrialTask } from './trial-messages.ts';

export type TrialBounds = {
  /** Limit of the child's anonymous memory in bytes; absent: no limit. */
  readonly memoryBytes?: number;
  readonly timeoutMs: number;
  /** Milliseconds for the runs after loading; absent: the rest of `timeoutMs`. */
  readonly runsMs?: number;
};

export type TrialDeps = {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
};

type Done = Extract<TrialMessage, { kind: 'done' }>;

export type TrialOutcome = {
  /** The largest anonymous memory seen, including Node.js itself. */
  readonly peakBytes: number;
} & (
  | { readonly kind: 'Done'; readonly loadMs: number; readonly result: Done }
  /** ONNX Runtime refused the model; `why` is its message. */
  | { readonly kind: 'Refused'; readonly why: string }
  /** The child process ended without an answer; `how` is its exit code or signal, and its last line on stderr. */
  | { readonly kind: 'Died'; readonly during: 'load' | 'run'; readonly how: string }
  | { readonly kind: 'TooLarge'; readonly during: 'load' | 'run' }
  | { readonly kind: 'TooSlow'; readonly during: 'load' | 'run' }
);

const lookMs = 10;
/**
 * Program and child are TypeScript in the repository and JavaScript in the published package, so the child's file has
 * the same extension as this file.
 */
const program = fileURLToPath(new URL(`./trial-child${extname(import.meta.filename)}`, import.meta.url));

/** @throws the signal's reason when it is aborted */
export async function runTrial(task: TrialTask, bounds: TrialBounds, deps: TrialDeps): Promise<TrialOutcome> {
  deps.signal.throwIfAborted();
  // Discard the child's standard output: ONNX Runtime's errors are returned as messages.
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: deps.environment,
  });
  const watch = new Watch(child, bounds, deps);
  try {
    child.send(task, () => {});
    return await watch.outcome();
  } finally {
    child.kill('SIGKILL');
  }
}

class Watch {
  readonly #child: ChildProcess;
  readonly #bounds: TrialBounds;
  readonly #deps: TrialDeps;
  readonly #messages = new Map<TrialMessage['kind'], TrialMessage>();
  #peakBytes = 0;
  #killed: 'TooLarge' | 'TooSlow' | undefined;
  #stderr = '';
  #deadlineMs: number;
  /** How the child ended; undefined while it runs. */
  #end: string | undefined;

  constructor(child: ChildProcess, bounds: TrialBounds, deps: TrialDeps) {
    this.#child = child;
    this.#bounds = bounds;
    this.#deps = deps;
    this.#deadlineMs = deps.clock.monotonic() + bounds.timeoutMs;
    child.on('message', (message: TrialMessage) => {
      this.#messages.set(message.kind, message);
      if (message.kind === 'loaded')
        this.#deadlineMs = Math.min(this.#deadlineMs, deps.clock.monotonic() + (bounds.runsMs ?? Infinity));
    });
    child.stderr?.on('data', (piece: Buffer) => {
      this.#stderr = (this.#stderr + piece.toString()).slice(-2000);
    });
  }

  async outcome(): Promise<TrialOutcome> {
    const { clock, signal } = this.#deps;
    const ended = new Promise<void>((resolve) => {
      // 'close' follows the last message and the last line of stderr.
      this.#child.once('close', (code, name) => {
        this.#end = name ?? `exit code ${code}`;
        resolve();
      });
      this.#child.once('error', (error) => {
        this.#end = error.message;
        resolve();
      });
    });
    const stop = (): void => {
      this.#child.kill('SIGKILL');
    };
    signal.addEventListener('abort', stop, { once: true });
    while (this.#end === undefined) {
      await this.#look();
      await Promise.race([ended, clock.sleep(lookMs)]);
    }
    signal.removeEventListener('abort', stop);
    signal.throwIfAborted();
    return { peakBytes: this.#peakBytes, ...this.#judge() };
  }

  async #look(): Promise<void> {
    const bytes = await anonymousBytes(this.#child.pid);
    this.#peakBytes = Math.max(this.#peakBytes, bytes);
    if (bytes > (this.#bounds.memoryBytes ?? Infinity)) this.#kill('TooLarge');
    if (this.#deps.clock.monotonic() > this.#deadlineMs) this.#kill('TooSlow');
  }

  #kill(why: 'TooLarge' | 'TooSlow'): void {
    this.#killed ??= why;
    this.#child.kill('SIGKILL');
  }

  #judge(): Omit<TrialOutcome, 'peakBytes'> & TrialOutcomeBody {
    const done = this.#messages.get('done');
    const loaded = this.#messages.get('loaded');
    const failed = this.#messages.get('failed');
    const during = loaded === undefined ? 'load' : 'run';
    if (done?.kind === 'done' && loaded?.kind === 'loaded')
      return { kind: 'Done', loadMs: loaded.loadMs, result: done };
    if (this.#killed !== undefined) return { kind: this.#killed, during };
    if (failed?.kind === 'failed') return { kind: 'Refused', why: failed.why };
    return { kind: 'Died', during, how: `${this.#end ?? ''}${lastLine(this.#stderr)}` };
  }
}

type TrialOutcomeBody = TrialOutcome extends infer O ? (O extends unknown ? Omit<O, 'peakBytes'> : never) : never;

/** RssAnon of the process; 0 after it has ended. Mapped files do not count, because the kernel can drop them. */
export async function anonymousBytes(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${pid ?? 0}/status`, 'utf8').catch(() => '');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1)?.trim() ?? '';
  return line === '' ? '' : ` (${line.slice(0, 300)})`;
}
