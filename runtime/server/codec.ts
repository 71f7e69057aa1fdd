/**
 * Turns infer bodies into tensors and back: small ones here and now, large JSON on a thread of its own.
 *
 * Owns:   that thread, its queue and its heap limit.
 * Limits: parsing holds the HTTP thread for at most about a millisecond; everything larger goes to the thread, one at a time.
 * Ends:   every call settles; a body whose parsing exhausts the thread's heap is refused, the thread replaced.
 */
import { Worker } from 'node:worker_threads';
import { AppError } from '../../api/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Tensor } from '../engine/tensor.ts';
import { decodeInfer, type DecodeLimits, type InferRequest } from '../protocol/oip/decode.ts';
import { encodeInfer, type InferResponse } from '../protocol/oip/encode.ts';
import { joinEncoded, toHandOver, type CodecAnswer, type CodecSetup, type CodecTask, type Encoded } from './codec-messages.ts';

/** 32 KiB of JSON parse in a fraction of a millisecond, and eight thousand numbers print in about one; dozens may come at once. */
const largeJsonBytes = 32 * 1024;
const largeJsonElements = 8 * 1024;
/** After a body this large the thread's heap has grown; a new thread costs less than keeping it. */
const hugeJsonBytes = 8 * 2 ** 20;

export interface Codec {
  /** @throws AppError as decodeInfer does */
  decode(body: Uint8Array<ArrayBuffer>, jsonBytes: number): Promise<InferRequest>;
  /** @throws AppError as encodeInfer does */
  encode(response: InferResponse): Promise<Encoded>;
  close(): Promise<void>;
}

export type CodecOptions = CodecSetup & { readonly logger: Logger; /** Megabytes of the thread's heap. */ readonly heapMb: number; readonly jsonLimitBytes: number };

type Job = { readonly task: CodecTask; readonly transfer: ArrayBuffer[]; readonly resolve: (answer: CodecAnswer) => void; readonly reject: (error: unknown) => void };

export class ThreadedCodec implements Codec {
  readonly #options: CodecOptions;
  readonly #limits: DecodeLimits;
  #thread: Worker;
  #queue: Job[] = [];
  #current: Job | undefined;
  #closed = false;
  #failure: unknown;

  constructor(options: CodecOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#thread = this.#start();
  }

  async decode(body: Uint8Array<ArrayBuffer>, jsonBytes: number): Promise<InferRequest> {
    const { jsonLimitBytes } = this.#options;
    if (Math.min(jsonBytes, body.length) > jsonLimitBytes) throw new AppError('REQUEST_TOO_LARGE', { what: `the request's JSON of ${jsonBytes} bytes (binary data may be larger)`, limit: jsonLimitBytes });
    if (Math.min(jsonBytes, body.length) <= largeJsonBytes) return decodeInfer(body, jsonBytes, this.#limits);
    const answer = await this.#ask({ do: 'decode', body, jsonBytes }, [body.buffer]);
    if (answer.is !== 'Decoded') throw unexpected(answer);
    return answer.request;
  }

  async encode(response: InferResponse): Promise<Encoded> {
    if (jsonElements(response.outputs) <= largeJsonElements) return joinEncoded(encodeInfer(response));
    const { response: own, transfer } = toHandOver(response);
    const answer = await this.#ask({ do: 'encode', response: own }, transfer);
    if (answer.is !== 'Encoded') throw unexpected(answer);
    return answer.encoded;
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
    const { limits, nice, heapMb, logger } = this.#options;
    const thread = new Worker(new URL('./codec-thread.ts', import.meta.url), {
      workerData: { limits, nice } satisfies CodecSetup, name: 'codec', resourceLimits: { maxOldGenerationSizeMb: heapMb },
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
    if (job?.task.do === 'decode' && job.task.jsonBytes > hugeJsonBytes) this.#replace();
    if (answer.is === 'Refused') job?.reject(new AppError(answer.code, answer.params as never));
    else job?.resolve(answer);
    this.#next();
  }

  /** Not an engine's thread: it may be ended at any time. */
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
    job?.reject(exhausted ? new AppError('REQUEST_TOO_LARGE', { what: 'the JSON, once parsed,', limit: this.#options.heapMb * 2 ** 20 }) : this.#failure);
    this.#failure = undefined;
    this.#next();
  }
}

function jsonElements(outputs: readonly { readonly tensor: Tensor; readonly binary: boolean }[]): number {
  return outputs.reduce((sum, { tensor, binary }) => sum + (binary ? 0 : tensor.data.length), 0);
}

function unexpected(answer: CodecAnswer): Error {
  return new Error(`the codec thread answered ${answer.is}`);
}
