/**
 * Turns infer bodies into tensors and back: small bodies on the HTTP thread, large JSON on the codec thread.
 *
 * Owns:   the codec thread, its queue and its heap limit.
 * Limits: parsing holds the HTTP thread for at most about a millisecond. Bodies with more JSON go to the codec thread,
 *         one at a time. A body whose estimated memory is more than `memoryBytes` is refused before it is parsed.
 * Ends:   every call settles. If a body exhausts the thread's heap in spite of the estimate, the body is refused and
 *         the thread is replaced.
 */
import { Worker } from 'node:worker_threads';
import { AppError } from '../../../api/errors.ts';
import { formatBytes } from '../../../api/units.ts';
import type { Logger } from '../../../lib/log.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { KnownHeads } from './known-heads.ts';
import { decodeInfer, type DecodeLimits, type InferRequest } from './decode.ts';
import { encodeInfer, type InferResponse } from './encode.ts';
import {
  joinEncoded,
  toHandOver,
  type CodecAnswer,
  type CodecSetup,
  type CodecTask,
  type Encoded,
} from './codec-messages.ts';

/**
 * JSON of more bytes is parsed on the codec thread. Parsing 32 KiB takes a fraction of a millisecond, but dozens of
 * bodies may arrive at once.
 */
const largeJsonBytes = 32 * 1024;
/**
 * When an answer in JSON has more values than this, it is printed on the codec thread. Printing 8,000 numbers takes a
 * millisecond.
 */
const largeJsonElements = 8 * 1024;
/**
 * After parsing more JSON than this, the codec thread is replaced. Its heap has grown, and a new thread costs less than
 * keeping the large heap.
 */
const hugeJsonBytes = 8 * 2 ** 20;

export interface Codec {
  /** @throws AppError as decodeInfer does */
  decode(body: Uint8Array<ArrayBuffer>, jsonBytes: number): InferRequest | Promise<InferRequest>;
  /** @throws AppError as encodeInfer does; REQUEST_TOO_LARGE for more values than can be printed */
  encode(response: InferResponse): Encoded | Promise<Encoded>;
  close(): Promise<void>;
}

export type CodecDeps = {
  readonly limits: DecodeLimits;
  /** How far the scheduling priority is below the HTTP thread's priority: 0 (the same) to 19. */
  readonly nice: number;
  readonly logger: Logger;
  /** Maximum memory for parsing or printing one body. */
  readonly memoryBytes: number;
  /** Maximum size of the JSON in one body. */
  readonly jsonLimitBytes: number;
  /** Heap of the thread without its program; default: `memoryBytes`. Tests set a smaller one. */
  readonly heapBytes?: number;
};

/** Heap that the thread needs for its program. */
const programHeapMb = 16;
/** Heap for new objects of the thread; V8's default is three times 16 MiB. */
const youngHeapMb = 8;
/** Bytes of memory to print one number: up to 25 for its text, as many for the encoded text, and a list entry. */
const printedBytes = 64;

type Job = {
  readonly task: CodecTask;
  readonly transfer: ArrayBuffer[];
  readonly resolve: (answer: CodecAnswer) => void;
  readonly reject: (error: unknown) => void;
};

export class ThreadedCodec implements Codec {
  readonly #deps: CodecDeps;
  readonly #heads = new KnownHeads();
  #memoryBytes: number;
  #thread: Worker;
  #queue: Job[] = [];
  #current: Job | undefined;
  #closed = false;
  #failure: unknown;

  constructor(deps: CodecDeps) {
    this.#deps = deps;
    this.#memoryBytes = deps.memoryBytes;
    this.#thread = this.#start();
  }

  /** Changes the memory limit of one body, from the next body on. */
  limitMemory(memoryBytes: number): void {
    this.#memoryBytes = memoryBytes;
    if (this.#current === undefined) this.#replace();
  }

  decode(body: Uint8Array<ArrayBuffer>, jsonBytes: number): InferRequest | Promise<InferRequest> {
    const { jsonLimitBytes } = this.#deps;
    const known = this.#heads.find(body, jsonBytes);
    if (known !== undefined) return known;
    if (Math.min(jsonBytes, body.length) > jsonLimitBytes)
      throw new AppError('REQUEST_TOO_LARGE', {
        what: `the request has ${jsonBytes} bytes of JSON (binary data may be larger)`,
        limit: jsonLimitBytes,
      });
    const limits = this.#limits;
    if (Math.min(jsonBytes, body.length) > largeJsonBytes) return this.#decodeOnThread(body, jsonBytes, limits);
    const request = decodeInfer(body, jsonBytes, limits);
    this.#heads.add(body, jsonBytes, request);
    return request;
  }

  async #decodeOnThread(body: Uint8Array<ArrayBuffer>, jsonBytes: number, limits: DecodeLimits): Promise<InferRequest> {
    const answer = await this.#ask({ kind: 'decode', body, jsonBytes, limits }, [body.buffer]);
    if (answer.kind !== 'Decoded') throw unexpected(answer);
    return answer.request;
  }

  encode(response: InferResponse): Encoded | Promise<Encoded> {
    const elements = jsonElements(response.outputs);
    if (elements <= largeJsonElements) return joinEncoded(encodeInfer(response));
    if (elements * printedBytes > this.#memoryBytes)
      throw tooLargeToPrint(elements, Math.floor(this.#memoryBytes / printedBytes));
    return this.#encodeOnThread(response);
  }

  async #encodeOnThread(response: InferResponse): Promise<Encoded> {
    const { response: own, transfer } = toHandOver(response);
    const answer = await this.#ask({ kind: 'encode', response: own }, transfer);
    if (answer.kind !== 'Encoded') throw unexpected(answer);
    return answer.encoded;
  }

  get #limits(): DecodeLimits {
    return { ...this.#deps.limits, jsonMemoryBytes: this.#memoryBytes };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread.terminate();
  }

  #ask(task: CodecTask, transfer: ArrayBuffer[]): Promise<CodecAnswer> {
    if (this.#closed) return Promise.reject(new AppError('DRAINING', undefined));
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, transfer, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#current !== undefined) return;
    this.#current = this.#queue.shift();
    if (this.#current !== undefined) this.#thread.postMessage(this.#current.task, this.#current.transfer);
  }

  #start(): Worker {
    const { nice, heapBytes = this.#memoryBytes, logger } = this.#deps;
    const thread = new Worker(new URL('./codec-thread.ts', import.meta.url), {
      workerData: { nice } satisfies CodecSetup,
      name: 'codec',
      resourceLimits: {
        maxOldGenerationSizeMb: programHeapMb + Math.ceil(heapBytes / 2 ** 20),
        maxYoungGenerationSizeMb: youngHeapMb,
      },
    });
    thread.unref();
    thread.on('message', (answer: CodecAnswer) => this.#hear(answer));
    thread.on('error', (error: unknown) => {
      logger.warn('codec thread failed', { err: error });
      if (thread === this.#thread) this.#failure = error;
    });
    thread.on('exit', () => this.#gone(thread));
    return thread;
  }

  #hear(answer: CodecAnswer): void {
    const job = this.#current;
    this.#current = undefined;
    if (job?.task.kind === 'decode' && job.task.jsonBytes > hugeJsonBytes) this.#replace();
    if (answer.kind === 'Refused') job?.reject(new AppError(answer.code, answer.params as never));
    else job?.resolve(answer);
    this.#next();
  }

  /** Ends the thread and starts a new one. Unlike a worker of the engine, this thread may be ended at any time. */
  #replace(): void {
    const old = this.#thread;
    this.#thread = this.#start();
    void old.terminate();
  }

  #gone(thread: Worker): void {
    if (thread !== this.#thread || this.#closed) return;
    const job = this.#current;
    this.#current = undefined;
    this.#thread = this.#start();
    const exhausted = (this.#failure as NodeJS.ErrnoException | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY';
    job?.reject(exhausted ? exhaustedBy(job.task, this.#memoryBytes) : this.#failure);
    this.#failure = undefined;
    this.#next();
  }
}

function tooLargeToPrint(elements: number, limit: number): AppError {
  return new AppError('REQUEST_TOO_LARGE', {
    what: `the answer has ${elements} values, too many for JSON`,
    limit,
    advice: 'ask for binary data (parameters: {"binary_data_output": true}), or send fewer rows',
  });
}

function exhaustedBy(task: CodecTask, memoryBytes: number): AppError {
  if (task.kind === 'encode')
    return tooLargeToPrint(jsonElements(task.response.outputs), Math.floor(memoryBytes / printedBytes));
  return new AppError('REQUEST_TOO_LARGE', {
    what: 'parsing the request needs too much memory',
    limit: formatBytes(memoryBytes),
    advice: 'send fewer values, or tensors as binary data',
  });
}

function jsonElements(outputs: readonly { readonly tensor: Tensor; readonly binary: boolean }[]): number {
  return outputs.reduce((sum, { tensor, binary }) => sum + (binary ? 0 : tensor.data.length), 0);
}

function unexpected(answer: CodecAnswer): Error {
  return new Error(`the codec thread answered ${answer.kind}`);
}
