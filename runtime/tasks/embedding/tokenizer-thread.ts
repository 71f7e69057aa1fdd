/**
 * Reads requests: short ones here and now, long ones on a thread of their own.
 *
 * Owns:   the tokenizer thread's life and the choice of thread. A short text takes tenths of a millisecond and would
 *         wait longer for a hand-over; a tokenizer over 4 MiB is not kept twice, so then all go over.
 * Limits: 64 requests and 64 MiB of bodies wait for the thread; one more is refused with QUEUE_FULL.
 * Patterns: a tokenizer with regular expressions of its own may take for ever for some text. All its requests go to the
 *         thread, and a thread that answers nothing for 30 s while there is work is ended with its requests.
 * Ends:   every `read` settles: rows, an AppError, or the reason of the caller's abort. A thread that ends by
 *         itself is replaced by the next `read`.
 */
import { readFile, stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../../api/errors.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { readRequest, type TokenRequest } from './read-request.ts';
import { Slice } from './slice.ts';
import { errorOf, type FromThread, type ThreadTask, type ToThread } from './thread-messages.ts';
import { tokenisingCost } from './tokenising-cost.ts';
import { TextTokenizer, type Vocabulary } from './tokenizer.ts';

const inlineBodyBytes = 4 << 10;
/** In the units of tokenising-cost.ts: 2 ms. */
const inlineCost = 300_000;
const inlineTokenizerBytes = 4 << 20;
const inlineSliceMs = 2;
/** Work is done in slices of milliseconds, and a large body is parsed in about a second. */
const heldAfterMs = 30_000;
const pingEveryMs = 1000;
const maxWaiting = 64;
const maxWaitingBytes = 64 << 20;
/**
 * A last bound behind the count of what a body will take: the program, and a tokenizer at 16 bytes for each of its
 * file's.
 */
const programHeapMb = 64;
const heapPerFileByte = 16;

type Job = {
  readonly bytes: number;
  readonly resolve: (request: TokenRequest) => void;
  readonly reject: (error: unknown) => void;
};

export type ReaderOptions = {
  readonly task: ThreadTask;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What parsing and tokenising may take now, all requests together. Grows no more once the thread has started. */
  readonly memoryBytes: () => number;
};

export class RequestReader {
  readonly vocabulary: Vocabulary;
  readonly #options: ReaderOptions;
  readonly #inline: TextTokenizer | undefined;
  readonly #jobs = new Map<number, Job>();
  #worker: Worker | undefined;
  #lastJob = 0;
  #waitingBytes = 0;
  #closed = false;
  #held: AppError | undefined;
  #callOffWatch: (() => void) | undefined;

  private constructor(
    options: ReaderOptions,
    inline: TextTokenizer | undefined,
    started: { readonly worker: Worker; readonly vocabulary: Vocabulary },
  ) {
    this.#options = options;
    this.#inline = inline;
    this.vocabulary = started.vocabulary;
    this.#adopt(started.worker);
  }

  /** @throws AppError BAD_CONFIG when the tokenizer's files cannot be used */
  static async start(options: ReaderOptions): Promise<RequestReader> {
    const { path, configPath } = options.task;
    const started = await startWorker(options);
    const small = (await stat(path)).size <= inlineTokenizerBytes;
    const inline = small && !(await hasPatterns(path));
    return new RequestReader(options, inline ? await TextTokenizer.load(path, configPath) : undefined, started);
  }

  /** @param body may be handed over to the thread: the caller must not touch it again */
  async read(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<TokenRequest> {
    const { clock, task } = this.#options;
    if (this.#inline !== undefined && isShort(body)) {
      return readRequest(body, this.#inline, task.rules, { slice: new Slice(clock, inlineSliceMs), signal });
    }
    signal.throwIfAborted();
    if (this.#closed) throw new AppError('DRAINING', undefined);
    if (this.#jobs.size >= maxWaiting || this.#waitingBytes + body.length > maxWaitingBytes)
      throw new AppError('QUEUE_FULL', { limit: maxWaiting });
    return this.#hand(body, signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#callOffWatch?.();
    await this.#worker?.terminate();
  }

  /** The job counts from here on, so that limits hold while a thread is still starting. */
  #hand(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<TokenRequest> {
    const job = (this.#lastJob += 1);
    const { promise, resolve, reject } = Promise.withResolvers<TokenRequest>();
    this.#jobs.set(job, { bytes: body.length, resolve, reject });
    this.#waitingBytes += body.length;
    const leave = (): void => {
      this.#worker?.postMessage({ say: 'cancel', job } satisfies ToThread);
      this.#settle(job)?.reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#send(job, body).catch((error: unknown) => this.#settle(job)?.reject(error));
    return promise.finally(() => signal.removeEventListener('abort', leave));
  }

  async #send(job: number, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const worker = await this.#runningWorker();
    if (!this.#jobs.has(job)) return;
    // A view of a larger buffer is copied: transferring would take its neighbours away.
    const whole = body.byteLength === body.buffer.byteLength;
    worker.postMessage(
      { say: 'read', job, body, memoryBytes: this.#options.memoryBytes() } satisfies ToThread,
      whole ? [body.buffer] : [],
    );
    if (this.#callOffWatch === undefined) this.#watch(worker);
  }

  /** Asks the thread whether it is still there, and ends it when it does not answer in time. */
  #watch(worker: Worker): void {
    const {
      clock,
      logger,
      task: {
        rules: { model },
      },
    } = this.#options;
    worker.postMessage({ say: 'ping' } satisfies ToThread);
    this.#callOffWatch = clock.after(heldAfterMs, () => {
      this.#callOffWatch = undefined;
      this.#held = new AppError('RUN_STUCK', {
        model: `the tokenizer of ${model}`,
        ranMs: heldAfterMs,
        limitMs: heldAfterMs,
      });
      logger.error('tokenizer thread is held by one text and is ended', { err: this.#held, requests: this.#jobs.size });
      void worker.terminate();
    });
  }

  /** It lives; as long as there is work it is asked again. */
  #pong(): void {
    this.#callOffWatch?.();
    this.#callOffWatch = this.#options.clock.after(pingEveryMs, () => {
      this.#callOffWatch = undefined;
      if (this.#jobs.size > 0 && this.#worker !== undefined) this.#watch(this.#worker);
    });
  }

  async #runningWorker(): Promise<Worker> {
    if (this.#worker !== undefined) return this.#worker;
    const { worker } = await startWorker(this.#options);
    // Another read may have been faster.
    if (this.#worker !== undefined || this.#closed) {
      await worker.terminate();
      return this.#worker ?? worker;
    }
    this.#adopt(worker);
    return worker;
  }

  #adopt(worker: Worker): void {
    this.#worker = worker;
    worker.on('message', (message: FromThread) => this.#hear(message));
    worker.on('error', (err) => this.#options.logger.error('tokenizer thread failed', { err }));
    worker.once('exit', () => {
      this.#worker = undefined;
      this.#callOffWatch?.();
      this.#callOffWatch = undefined;
      const why = this.#held ?? new AppError('ENGINE_LOST', { model: this.#options.task.rules.model });
      this.#held = undefined;
      for (const job of this.#jobs.keys()) this.#settle(job)?.reject(why);
    });
    // The server's sockets keep the process; this thread alone should not.
    worker.unref();
  }

  #hear(message: FromThread): void {
    if (message.say === 'pong') this.#pong();
    if (message.say === 'read') this.#settle(message.job)?.resolve(message.request);
    if (message.say === 'refused') this.#settle(message.job)?.reject(errorOf(message.failure));
  }

  /** Takes a job off the list; undefined when it has been settled before. */
  #settle(job: number): Job | undefined {
    const found = this.#jobs.get(job);
    if (found === undefined) return undefined;
    this.#jobs.delete(job);
    this.#waitingBytes -= found.bytes;
    return found;
  }
}

/** Whether the file has regular expressions of its own, in a normaliser, a pre-tokeniser or a decoder. */
async function hasPatterns(path: string): Promise<boolean> {
  return /"Regex"\s*:/.test(await readFile(path, 'utf8'));
}

/** By its bytes, each taken for a letter or not: beyond ASCII that errs on the side of the thread. */
function isShort(body: Uint8Array): boolean {
  return (
    body.length <= inlineBodyBytes &&
    tokenisingCost(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')) <= inlineCost
  );
}

/** @throws AppError BAD_CONFIG in the words of the thread */
async function startWorker({
  task,
  memoryBytes,
}: ReaderOptions): Promise<{ readonly worker: Worker; readonly vocabulary: Vocabulary }> {
  const fileBytes = await stat(task.path).then(
    ({ size }) => size,
    () => 0,
  );
  const maxHeapMb = programHeapMb + Math.ceil((memoryBytes() + heapPerFileByte * fileBytes) / 2 ** 20);
  return new Promise((resolve, reject) => {
    // Beside this file, whether that is TypeScript or what was made of it.
    const program = new URL(`./tokenizer-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
    const worker = new Worker(program, {
      workerData: task,
      name: 'tokenizer',
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    });
    const lose = (): void => reject(new AppError('ENGINE_LOST', { model: task.rules.model }));
    worker.once('error', reject);
    worker.once('exit', lose);
    worker.once('message', (message: FromThread) => {
      worker.off('error', reject).off('exit', lose);
      if (message.say === 'loaded') return resolve({ worker, vocabulary: message.vocabulary });
      void worker.terminate();
      return reject(
        message.say === 'loadFailed' ? errorOf(message.failure) : new Error('the tokenizer thread spoke out of turn'),
      );
    });
  });
}
