/**
 * The port of a task, such as Embedding. A task converts requests of its protocol to tensors, and results to answers.
 *
 * Owns:  the port. The server adds the Open Inference Protocol, reads and limits bodies, counts and times requests, and
 *        sends answers. Handlers run on the HTTP thread: work of more than a few milliseconds belongs on another
 *        thread.
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Inference } from '../batching/port.ts';
import type { ClientError, TaskCall, TaskReply } from '../call/call.ts';
import type { Signature } from '../engine/signature.ts';

/** The dependencies of a task, which is created after the model is loaded and before it is warmed up. */
export type TaskDeps = {
  readonly config: RuntimeConfig;
  readonly signature: Signature;
  readonly inference: Inference;
  /** Absolute path of a file of the prepared source, from its path inside the source (e.g. `tokenizer.json`). */
  readonly sourceFile: (path: string) => string;
  /** Memory in bytes for reading all requests together. Call it for each request: the warm-up changes it. */
  readonly parseBytes: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
};

export type TaskFactory = (deps: TaskDeps) => Promise<Task>;

export interface Task {
  readonly routes: readonly TaskRoute[];
  /** Maximum tokens of one text in a request; absent if the task has no such limit. */
  readonly maxTokens?: number;
  /** A request that the model accepts. The server sends it to itself before it is ready; absent: there is none. */
  readonly example?: { readonly path: string; readonly body: unknown };
  /** Memory that the task takes later, with a first request of some kind; absent: none. */
  readonly laterBytes?: number;
  /** Frees what the task holds (threads, files). Called once, after the last request was answered. */
  close?(): Promise<void>;
}

export type TaskRoute = {
  readonly method: 'GET' | 'POST';
  /** Exact path, e.g. `/v1/embeddings`. */
  readonly path: string;
  /** Throws AppErrors; the server converts them to a status by their kind, and to `errorBody`. */
  handle(call: TaskCall): Promise<TaskReply>;
  /** The JSON body of an error answer in this route's protocol. `message` may be shown to the client. */
  errorBody(error: ClientError): unknown;
};
