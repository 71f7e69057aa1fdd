/**
 * The program of an engine process: one session of ONNX Runtime, for requests of the server that started it.
 *
 * Owns:  the session, its runs on threads of libuv, kept state and caches. Messages cross on descriptor 3, tensors in
 *        lanes.
 * Ends:  with exit code 0 when the server releases it. It kills itself when the server has gone, because a normal exit
 *        would wait for runs. SIGTERM asks the server for the release; SIGINT, which a terminal sends to all its
 *        processes, is left to the server.
 */
import { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { messageOf } from '../../../api/errors.ts';
import { NativeSession, openEnvironment, type OrtEnvironment } from '../capi/session.ts';
import { dieWithParent, openLane, trimHeaps, type Lane } from '../capi/shared-memory.ts';
import {
  hearLines,
  sendLine,
  type EngineTask,
  type EngineWork,
  type FromEngine,
  type ToEngine,
  type WireResult,
} from './messages.ts';
import { maxLaneBytes } from './lane.ts';
import { NativeCaches } from './native-caches.ts';
import { runNativeBatch } from './native-batch.ts';
import { NativeRequest } from './native-request.ts';
import { NativeStates } from './native-states.ts';

const serverSocket = 3;

class EngineProgram {
  readonly #socket: Socket;
  readonly #environment: OrtEnvironment;
  readonly #session: NativeSession;
  readonly #lanes: readonly Lane[];
  readonly #states = new NativeStates();
  readonly #caches: NativeCaches;
  /** The requests in progress, by their ids. */
  readonly #requests = new Map<number, NativeRequest>();
  #shrinkNext = false;

  private constructor(socket: Socket, environment: OrtEnvironment, session: NativeSession, lanes: readonly Lane[]) {
    this.#socket = socket;
    this.#environment = environment;
    this.#session = session;
    this.#lanes = lanes;
    this.#caches = new NativeCaches(environment.values);
  }

  /** @throws what ONNX Runtime throws */
  static async load(socket: Socket, task: EngineTask): Promise<EngineProgram> {
    // ONNX Runtime's threads inherit the priority of this thread.
    if (task.nice > 0) setPriority(0, task.nice);
    const began = performance.now();
    const environment = openEnvironment(task.arenaBytes);
    const session = await NativeSession.open(environment, task.graphPath, task.options);
    const lanes = Array.from({ length: task.lanes }, () => openLane(maxLaneBytes));
    const program = new EngineProgram(socket, environment, session, lanes);
    program.#say({
      kind: 'loaded',
      loadMs: performance.now() - began,
      lanes: lanes.map(({ descriptor }) => descriptor),
    });
    return program;
  }

  hear(message: Exclude<ToEngine, { kind: 'load' }>): void {
    if (message.kind === 'work') void this.#answer(message);
    else if (message.kind === 'cancel') this.#requests.get(message.id)?.cancel();
    else if (message.kind === 'news') this.#states.hear(message.news);
    else if (message.kind === 'closeCache') this.#caches.close(message.cache);
    else if (message.kind === 'trim') this.#trim();
    else this.#release();
  }

  async #answer({ id, lane, end, work }: ToEngine & { kind: 'work' }): Promise<void> {
    const model = { environment: this.#environment, session: this.#session };
    const request = new NativeRequest(model, this.#lanes[lane] as Lane, { end, shrink: this.#shrinkNext });
    this.#shrinkNext = false;
    this.#requests.set(id, request);
    try {
      this.#say({ kind: 'ran', id, result: await this.#work(request, work) });
    } catch (error) {
      this.#say({ kind: 'broke', id, why: messageOf(error) });
    } finally {
      this.#requests.delete(id);
    }
  }

  #work(request: NativeRequest, work: EngineWork): WireResult | Promise<WireResult> {
    if (work.kind === 'run') return runNativeBatch(request, work);
    if (work.kind === 'step') return this.#states.step(request, work.steps);
    if (work.kind === 'runCache') return this.#caches.run(request, work);
    const began = performance.now();
    if (work.kind === 'openCache') this.#caches.open(work.cache, work.shape);
    else this.#caches.copy(work);
    return { parts: [], inferMs: performance.now() - began, together: true };
  }

  #trim(): void {
    this.#shrinkNext = true;
    trimHeaps();
  }

  /** The server releases the process only when no request is in progress. */
  #release(): void {
    this.#caches.closeAll();
    this.#session.release();
    this.#environment.release();
    this.#socket.end(() => process.exit(0));
  }

  #say(message: FromEngine): void {
    sendLine(this.#socket, message);
  }
}

function serve(): void {
  dieWithParent();
  const socket = new Socket({ fd: serverSocket });
  const end = (): void => void process.kill(process.pid, 'SIGKILL');
  socket.on('end', end);
  socket.on('error', end);
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => sendLine(socket, { kind: 'leaving' }));
  let program: EngineProgram | undefined;
  hearLines<ToEngine>(socket, (message) => {
    if (message.kind !== 'load') return program?.hear(message);
    return void EngineProgram.load(socket, message.task).then(
      (loaded) => {
        program = loaded;
      },
      (error: unknown) => sendLine(socket, { kind: 'loadFailed', why: messageOf(error) }),
    );
  });
}

serve();
