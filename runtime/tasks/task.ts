/**
 * The seam for what a model is used for: a task turns requests of its own protocol into tensors and back.
 *
 * Owns:  the port. The server gives every task the Open Inference Protocol beside its own routes, reads and
 *        bounds the body, counts and times the request, and writes the answer; a task only translates.
 * Rule:  a handler runs on the HTTP thread: what takes more than a few milliseconds belongs on another one.
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Inference } from '../batching/port.ts';
import type { ClientError, TaskCall, TaskReply } from '../call/call.ts';
import type { Signature } from '../engine/signature.ts';

/** What a task is given once the model is loaded, before it is warmed and ready. */
export type TaskContext = {
  readonly config: RuntimeConfig;
  readonly signature: Signature;
  readonly inference: Inference;
  /** Absolute path of a file of the prepared source, by its path inside the source (e.g. `tokenizer.json`). */
  readonly sourceFile: (path: string) => string;
  /**
   * Memory that the task may take to read its requests, all together. Read anew for each: warming the model changes it.
   */
  readonly parseBytes: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
};

export type TaskFactory = (context: TaskContext) => Promise<Task>;

export interface Task {
  readonly routes: readonly TaskRoute[];
  /** Longest sequence that a request may have; absent for a task without one. */
  readonly maxTokens?: number;
  /** Frees what the task holds (threads, files). Called once, after the last request was answered. */
  close?(): Promise<void>;
}

export type TaskRoute = {
  readonly method: 'GET' | 'POST';
  /** Exact path, e.g. `/v1/embeddings`. */
  readonly path: string;
  /** Throws AppErrors; the server turns them into the status of their kind and `errorBody`. */
  handle(call: TaskCall): Promise<TaskReply>;
  /** The JSON body of an error answer in this route's protocol. `message` is fit for the client. */
  errorBody(error: ClientError): unknown;
};
