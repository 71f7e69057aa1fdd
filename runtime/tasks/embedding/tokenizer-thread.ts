/**
 * Reads requests: short requests on the HTTP thread, long requests on a tokenizer thread.
 *
 * Owns:   the tokenizer thread and the choice of thread. Passing a short text to the thread costs more than tokenising
 *         it. Two kinds of tokenizers run only on the thread: tokenizers over 4 MiB, so that they are not loaded twice,
 *         and tokenizers with their own regular expressions, which may never return. Other tokenizers start the thread
 *         with the first long request: many servers never get one.
 * Limits: 64 requests and 64 MiB of bodies wait; more are refused with QUEUE_FULL. A thread that does not answer for 30
 *         s is ended, and its requests fail. Every `read` settles: with rows, an AppError or the abort's reason.
 */
import { readFile, stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { AppError } from '../../../api/errors.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { readRequest, type TokenRequest } from './read-request.ts';
import { Slice } from './slice.ts';
import { errorOf, type FromThread, type ThreadTask, type ToThread } from './thread-messages.ts';
import { TextTokenizer, type Vocabulary } from './tokenizer.ts';

const inlineBodyBytes = 4 << 10;
/** Maximum cost of a request that the HTTP thread reads, in the units of `tokenisingCost`; it takes about 2 ms. */
const inlineCost = 300_000;
const inlineTokenizerBytes = 4 << 20;
const inlineSliceMs = 2;
/**
 * A thread that does not answer for this many milliseconds is blocked by a single text: a slice takes only
 * milliseconds, and parsing a large body takes about a second.
 */
const heldAfterMs = 30_000;
const pingEveryMs = 1000;
const maxWaiting = 64;
const maxWaitingBytes = 64 << 20;
/**
 * The thread's heap is limited to the sum of `memoryBytes` for requests, `programHeapMb` for the program, and
 * `heapPerFileByte` bytes for each byte of the tokenizer's file.
 */
const programHeapMb = 64;
const heapPerFileByte = 16;
/** Memory of the thread without its tokenizer and requests. */
const threadBytes = 12 * 2 ** 20;

type Job = {
  readonly bytes: number;
  readonly resolve: (request: TokenRequest) => void;
  readonly reject: (error: unknown) => void;
};

export type TokenizerThreadDeps = {
  readonly task: ThreadTask;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Memory for parsing and tokenising of all requests together. Must not grow after the thread has started. */
  readonly memoryBytes: () => number;
};

export class RequestReader {
  readonly vocabulary: Vocabulary;
  /** Estimate of the memory that the thread takes when it starts with a later request; 0 when it has started. */
  readonly laterBytes: number;
  readonly #deps: TokenizerThreadDeps;
  readonly #inline: TextTokenizer | undefined;
  readonly #jobs = new Map<number, Job>();
  #worker: Worker | undefined;
  #starting: Promise<Worker> | undefined;
  #lastJob = 0;
  #waitingBytes = 0;
  #closed = false;
  #held: AppError | undefined;
  #callOffWatch: (() => void) | undefined;

  private constructor(
    deps: TokenizerThreadDeps,
    used:
      | { readonly inline: TextTokenizer; readonly fileBytes: number }
      | { readonly worker: Worker; readonly vocabulary: Vocabulary },
  ) {
    this.#deps = deps;
    if ('inline' in used) {
      this.#inline = used.inline;
      this.vocabulary = used.inline.vocabulary;
      this.laterBytes = threadBytes + heapPerFileByte * used.fileBytes;
    } else {
      this.vocabulary = used.vocabulary;
      this.laterBytes = 0;
      this.#adopt(used.worker);
    }
  }

  /** @throws AppError BAD_CONFIG when the tokenizer's files cannot be used */
  static async start(deps: TokenizerThreadDeps): Promise<RequestReader> {
    const { path, configPath } = deps.task;
    const fileBytes = await sizeOf(path);
    const isInline = fileBytes > 0 && fileBytes <= inlineTokenizerBytes && !(await hasPatterns(path));
    if (!isInline) return new RequestReader(deps, await startWorker(deps));
    return new RequestReader(deps, { inline: await TextTokenizer.load(path, configPath), fileBytes });
  }

  /** @param body may be transferred to the thread: the caller must not use it again */
  async read(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<TokenRequest> {
    const { clock, task } = this.#deps;
    if (this.#inline !== undefined && isShort(body)) {
      return readRequest(body, this.#inline, task.rules, { slice: new Slice(clock, inlineSliceMs), signal });
    }
    signal.throwIfAborted();
    if (this.#closed) throw new AppError('DRAINING', undefined);
    if (this.#jobs.size >= maxWaiting || this.#waitingBytes + body.length > maxWaitingBytes)
      throw new AppError('QUEUE_FULL', { what: 'requests', limit: maxWaiting });
    return this.#hand(body, signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#callOffWatch?.();
    await this.#worker?.terminate();
  }

  /** Registers the job at once, so that limits apply while a thread is still starting. */
  #hand(body: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<TokenRequest> {
    const job = (this.#lastJob += 1);
    const { promise, resolve, reject } = Promise.withResolvers<TokenRequest>();
    this.#jobs.set(job, { bytes: body.length, resolve, reject });
    this.#waitingBytes += body.length;
    const leave = (): void => {
      this.#worker?.postMessage({ kind: 'cancel', job } satisfies ToThread);
      this.#settle(job)?.reject(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#send(job, body).catch((error: unknown) => this.#settle(job)?.reject(error));
    return promise.finally(() => signal.removeEventListener('abort', leave));
  }

  async #send(job: number, body: Uint8Array<ArrayBuffer>): Promise<void> {
    const worker = await this.#runningWorker();
    if (!this.#jobs.has(job)) return;
    // Copy a view of a larger buffer: transferring it would transfer the whole buffer.
    const whole = body.byteLength === body.buffer.byteLength;
    worker.postMessage(
      { kind: 'read', job, body, memoryBytes: this.#deps.memoryBytes() } satisfies ToThread,
      whole ? [body.buffer] : [],
    );
    if (this.#callOffWatch === undefined) this.#watch(worker);
  }

  /** Pings the thread, and ends it when it does not answer in time. */
  #watch(worker: Worker): void {
    const {
      clock,
      logger,
      task: {
        rules: { model },
      },
    } = this.#deps;
    worker.postMessage({ kind: 'ping' } satisfies ToThread);
    this.#callOffWatch = clock.after(heldAfterMs, () => {
      this.#callOffWatch = undefined;
      this.#held = new AppError('RUN_STUCK', {
        model: `the tokenizer of ${model}`,
        ranMs: heldAfterMs,
        limitMs: heldAfterMs,
      });
      logger.error('ending the tokenizer thread: one text blocks it', { err: this.#held, requests: this.#jobs.size });
      void worker.terminate();
    });
  }

  /** Called when the thread has answered. The thread is pinged again after a second if it has jobs. */
  #pong(): void {
    this.#callOffWatch?.();
    this.#callOffWatch = this.#deps.clock.after(pingEveryMs, () => {
      this.#callOffWatch = undefined;
      if (this.#jobs.size > 0 && this.#worker !== undefined) this.#watch(this.#worker);
    });
  }

  /** Starts the thread if it is not running. Requests that arrive during the start wait for the same thread. */
  async #runningWorker(): Promise<Worker> {
    if (this.#worker !== undefined) return this.#worker;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  /** @throws AppError DRAINING when the reader was closed during the start */
  async #start(): Promise<Worker> {
    const { worker } = await startWorker(this.#deps);
    if (this.#closed) {
      await worker.terminate();
      throw new AppError('DRAINING', undefined);
    }
    this.#adopt(worker);
    return worker;
  }

  #adopt(worker: Worker): void {
    this.#worker = worker;
    worker.on('message', (message: FromThread) => this.#hear(message));
    worker.on('error', (err) => this.#deps.logger.error('tokenizer thread failed', { err }));
    worker.once('exit', () => {
      this.#worker = undefined;
      this.#callOffWatch?.();
      this.#callOffWatch = undefined;
      const why = this.#held ?? new AppError('ENGINE_LOST', { model: this.#deps.task.rules.model });
      this.#held = undefined;
      for (const job of this.#jobs.keys()) this.#settle(job)?.reject(why);
    });
    // The server's sockets keep the process alive; this thread must not do so.
    worker.unref();
  }

  #hear(message: FromThread): void {
    if (message.kind === 'pong') this.#pong();
    if (message.kind === 'read') this.#settle(message.job)?.resolve(message.request);
    if (message.kind === 'refused') this.#settle(message.job)?.reject(errorOf(message.failure));
  }

  /** Removes a job from the list; undefined when it was already settled. */
  #settle(job: number): Job | undefined {
    const found = this.#jobs.get(job);
    if (found === undefined) return undefined;
    this.#jobs.delete(job);
    this.#waitingBytes -= found.bytes;
    return found;
  }
}

/** @returns 0 when the file does not exist; loading it then fails with a message */
function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** True if a normaliser, pre-tokeniser or decoder in the file has its own regular expression. */
async function hasPatterns(path: string): Promise<boolean> {
  return /"Regex"\s*:/.test(await readFile(path, 'utf8'));
}

/**
 * True if the HTTP thread may read the body. Every byte beyond ASCII counts as a letter, so the estimated cost may be
 * too high. The tokenizer thread then reads a short text, which is slower but correct.
 */
function isShort(body: Uint8Array): boolean {
  return (
    body.length <= inlineBodyBytes &&
    tokenisingCost(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1')) <= inlineCost
  );
}

/** @throws AppError BAD_CONFIG with the thread's message */
async function startWorker({
  task,
  memoryBytes,
}: TokenizerThreadDeps): Promise<{ readonly worker: Worker; readonly vocabulary: Vocabulary }> {
  const fileBytes = await sizeOf(task.path);
  const maxHeapMb = programHeapMb + Math.ceil((memoryBytes() + heapPerFileByte * fileBytes) / 2 ** 20);
  return new Promise((resolve, reject) => {
    // The worker's program is in the same folder, as TypeScript or compiled.
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
      if (message.kind === 'loaded') return resolve({ worker, vocabulary: message.vocabulary });
      void worker.terminate();
      return reject(
        message.kind === 'loadFailed'
          ? errorOf(message.failure)
          : new Error('unexpected message from the tokenizer thread'),
      );
    });
  });
}

const longestWord = 100;

export function tokenisingCost(text: string): number {
  let cost = 0;
  let word = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (isLetter(text.charCodeAt(at))) word += 1;
    else {
      cost += wordCost(word) + 1;
      word = 0;
    }
  }
  return cost + wordCost(word);
}

function wordCost(letters: number): number {
  return Math.min(letters, longestWord) ** 3 + Math.max(0, letters - longestWord);
}

/** True for characters at which some tokenizers do not split words: letters, digits, and all beyond ASCII. */
function isLetter(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code >= 0x80
  );
}
