/**
 * One engine process, seen from the server: starting it, its requests, and its end.
 *
 * Owns:   the child process, its lanes, the requests in progress, and their limits in time. A request that is cancelled
 *         or takes too long is first asked to end; if it has not ended `killAfterMs` later, the process is killed.
 * Throws: every request settles. When the process ends, the requests in progress reject with ENGINE_LOST, or with
 *         RUN_STUCK if they were over their limit.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { AppError, messageOf } from '../../../api/errors.ts';
import type { Clock } from '../../../lib/clock.ts';
import { loadWords } from '../load-words.ts';
import type { SequenceNews } from '../messages.ts';
import type { NamedTensors } from '../tensor.ts';
import { ServerLane, type LanePlaces } from './lane.ts';
import {
  hearLines,
  sendLine,
  type EngineTask,
  type EngineWork,
  type FromEngine,
  type WirePart,
  type WireResult,
} from './messages.ts';

export type EngineProcessDeps = {
  /** The model's name, for error messages. */
  readonly model: string;
  readonly task: EngineTask;
  readonly clock: Clock;
  /** The program. Tests of failures use another one. */
  readonly program?: URL;
  /** How long a request may take, in milliseconds. */
  readonly runLimitMs: () => number;
  /** How long a run that was asked to end may take to do so. */
  readonly killAfterMs: number;
};

/** What the listener of a process hears. */
export type EngineProcessNews =
  | { readonly kind: 'leaving' }
  /** `why` is the signal or the exit code. */
  | { readonly kind: 'ended'; readonly why: string }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'killed' };

export type EngineAnswer = Omit<WireResult, 'whole' | 'parts'> & {
  readonly whole?: NamedTensors;
  readonly parts: readonly (
    { readonly kind: 'Done'; readonly outputs: NamedTensors } | Exclude<WirePart, { kind: 'Done' }>
  )[];
};

type Request = {
  readonly lane: number;
  readonly beganMs: number;
  readonly resolve: (result: WireResult) => void;
  readonly reject: (error: Error) => void;
  /** Set when the request must not go on; the request rejects with it. */
  ended: Error | undefined;
  readonly timers: (() => void)[];
};

/** Threads of libuv in addition to one for each lane, for files and names that the process reads. */
const otherThreads = 2;

export class EngineProcess {
  readonly #deps: EngineProcessDeps;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #hear: (news: EngineProcessNews) => void;
  #lanes: readonly ServerLane[] = [];
  readonly #freeLanes: number[] = [];
  readonly #requests = new Map<number, Request>();
  #lastId = 0;
  #ended = false;

  private constructor(deps: EngineProcessDeps, hear: (news: EngineProcessNews) => void) {
    this.#deps = deps;
    this.#hear = hear;
    const program = deps.program ?? new URL('./program.ts', import.meta.url);
    const threads = deps.task.lanes + otherThreads;
    this.#child = spawn(process.execPath, [...process.execArgv, fileURLToPath(program)], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      env: { ...process.env, UV_THREADPOOL_SIZE: String(threads) },
    });
    this.#socket = this.#child.stdio[3] as Socket;
    // The exit is reported by the process itself.
    this.#socket.on('error', () => {});
  }

  /**
   * Starts a process, which begins to load the model.
   * @returns the process, and `loaded`, which rejects with AppError ENGINE_LOAD_FAILED when the process cannot load; it
   *   has then ended or is about to
   */
  static start(
    deps: EngineProcessDeps,
    hear: (news: EngineProcessNews) => void,
  ): { readonly process: EngineProcess; readonly loaded: Promise<void> } {
    const own = new EngineProcess(deps, hear);
    const loaded = new Promise<void>((resolve, reject) => {
      const failed = (why: string): void => {
        reject(new AppError('ENGINE_LOAD_FAILED', { file: deps.task.graphPath, why: loadWords(why) }));
        own.kill();
      };
      own.#child.on('error', (error) => own.#gone(`it could not be started: ${error.message}`, failed));
      own.#child.on('exit', (code, signal) => own.#gone(signal ?? `exit code ${code}`, failed));
      hearLines<FromEngine>(own.#socket, (message) => {
        if (message.kind === 'loaded') own.#open(message.lanes, resolve, failed);
        else if (message.kind === 'loadFailed') failed(message.why);
        else own.#hearMessage(message);
      });
      sendLine(own.#socket, { kind: 'load', task: deps.task });
    });
    return { process: own, loaded };
  }

  /** Number of requests that can begin at once. */
  get free(): number {
    return this.#ended ? 0 : this.#freeLanes.length;
  }

  get busy(): number {
    return this.#requests.size;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Begins a request in a free lane.
   * @throws AppError ENGINE_LOST, RUN_STUCK, ENGINE_FAILED; the reason of the signal; what writing to the lane throws
   */
  async request(places: LanePlaces, work: EngineWork, signal?: AbortSignal): Promise<EngineAnswer> {
    const lane = this.#freeLanes.pop();
    if (this.#ended || lane === undefined) throw new AppError('NOT_READY', { state: 'no lane is free' });
    const file = this.#lanes[lane] as ServerLane;
    const id = (this.#lastId += 1);
    let writing: Promise<void> | undefined;
    try {
      const result = await this.#begin(id, lane, async (request) => {
        writing = file.write(places);
        if (writing !== undefined) await writing;
        if (request.ended !== undefined || this.#ended) return request.reject(request.ended ?? this.#lost());
        sendLine(this.#socket, { kind: 'work', id, lane, end: places.end, work });
        return this.#watch(id, request, signal);
      });
      return await readAnswer(file, result);
    } finally {
      // A lane is closed only when no read or write is in progress: its descriptor may be used again at once.
      await writing?.catch(() => {});
      if (this.#ended) file.close();
      else {
        file.settle();
        this.#freeLanes.push(lane);
      }
    }
  }

  tell(news: SequenceNews): void {
    sendLine(this.#socket, { kind: 'news', news });
  }

  closeCache(cache: number): void {
    sendLine(this.#socket, { kind: 'closeCache', cache });
  }

  /** Gives freed memory back to the system. */
  trim(): void {
    sendLine(this.#socket, { kind: 'trim' });
  }

  /** Ends the process, which must have no request in progress. Kills it when it does not end in `killAfterMs`. */
  release(): void {
    sendLine(this.#socket, { kind: 'release' });
    this.#deps.clock.after(this.#deps.killAfterMs, () => this.kill());
  }

  kill(): void {
    if (!this.#ended) this.#child.kill('SIGKILL');
  }

  #begin(id: number, lane: number, start: (request: Request) => Promise<void>): Promise<WireResult> {
    return new Promise<WireResult>((resolve, reject) => {
      const beganMs = this.#deps.clock.monotonic();
      const request: Request = { lane, beganMs, resolve, reject, ended: undefined, timers: [] };
      this.#requests.set(id, request);
      start(request).catch(reject);
    }).finally(() => {
      for (const cancel of this.#requests.get(id)?.timers ?? []) cancel();
      this.#requests.delete(id);
    });
  }

  /** Ends the request when the signal is aborted, or when it is over its limit. */
  #watch(id: number, request: Request, signal: AbortSignal | undefined): void {
    const { clock, model, killAfterMs, runLimitMs } = this.#deps;
    const stop = (error: Error): void => {
      if (request.ended !== undefined) return;
      request.ended = error;
      this.#hear({ kind: 'cancelled' });
      sendLine(this.#socket, { kind: 'cancel', id });
      request.timers.push(
        clock.after(killAfterMs, () => {
          this.#hear({ kind: 'killed' });
          this.kill();
        }),
      );
    };
    const limitMs = runLimitMs();
    if (Number.isFinite(limitMs)) {
      const stuck = (): void => {
        const ranMs = clock.monotonic() - request.beganMs;
        stop(new AppError('RUN_STUCK', { model, ranMs, limitMs }));
      };
      request.timers.push(clock.after(limitMs, stuck));
    }
    if (signal === undefined) return;
    const aborted = (): void => stop(errorOf(signal.reason));
    signal.addEventListener('abort', aborted, { once: true });
    request.timers.push(() => signal.removeEventListener('abort', aborted));
    if (signal.aborted) aborted();
  }

  #hearMessage(message: Exclude<FromEngine, { kind: 'loaded' | 'loadFailed' }>): void {
    if (message.kind === 'leaving') return this.#hear({ kind: 'leaving' });
    const request = this.#requests.get(message.id);
    if (request === undefined) return;
    if (request.ended !== undefined) return request.reject(request.ended);
    if (message.kind === 'ran') return request.resolve(message.result);
    return request.reject(new AppError('ENGINE_FAILED', { model: this.#deps.model, why: message.why }));
  }

  #open(descriptors: readonly number[], opened: () => void, failed: (why: string) => void): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#ended) return;
    const lanes: ServerLane[] = [];
    this.#lanes = lanes;
    try {
      for (const descriptor of descriptors) {
        lanes.push(new ServerLane(pid, descriptor));
        this.#freeLanes.push(lanes.length - 1);
      }
      opened();
    } catch (error) {
      failed(`the server cannot open the memory of the engine process: ${messageOf(error)}`);
    }
  }

  #gone(why: string, failed: (why: string) => void): void {
    if (this.#ended) return;
    this.#ended = true;
    failed(`the engine process ended while loading: ${why}`); // Does nothing once the model is loaded.
    this.#socket.destroy();
    // Requests first: the listener may begin new work.
    for (const request of this.#requests.values()) request.reject(request.ended ?? this.#lost());
    for (const lane of this.#freeLanes.splice(0)) this.#lanes[lane]?.close();
    this.#hear({ kind: 'ended', why });
  }

  #lost(): AppError {
    return new AppError('ENGINE_LOST', { model: this.#deps.model });
  }
}

async function readAnswer(lane: ServerLane, { whole, parts, ...rest }: WireResult): Promise<EngineAnswer> {
  if (whole !== undefined) return { ...rest, parts: [], whole: (await lane.read([whole]))[0] as NamedTensors };
  const done = await lane.read(parts.map((part) => (part.kind === 'Done' ? part.outputs : [])));
  return {
    ...rest,
    parts: parts.map((part, index) =>
      part.kind === 'Done' ? { kind: 'Done', outputs: done[index] as NamedTensors } : part,
    ),
  };
}

function errorOf(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
