/**
 * The types of a request as a transport passes it on, and of the handler that answers it.
 *
 * Owns:  these types. A transport chooses the handler; perform.ts runs it. A handler translates between a protocol and
 *        the engine.
 */
import type { Tier } from '../../api/tiers.ts';
import type { Answer } from './answer.ts';
import type { ClientError, Trace } from './call.ts';

/** The kind of a request. It is a metrics label, and isInference() uses it to decide whether the request is traffic. */
export type RouteName = 'infer' | 'task' | 'health' | 'metadata' | 'other';

/** The parts of a call that its handler may use. */
export type Call = {
  /** Names in lower case; the values of a repeated header are joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /**
   * Reads the body, decompressed and within the body limit.
   * @param headBytes length of the JSON at the start of the body; the binary data after it is aligned to 8 bytes
   */
  readonly readBody: (headBytes: number) => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Charges memory for the answer to the budget that all bodies and answers share.
   * @throws AppError BODIES_FULL; REQUEST_TOO_LARGE when this answer alone exceeds the budget
   */
  readonly hold: (bytes: number) => void;
  readonly trace: Trace;
  /** Aborted when the client disconnects or its deadline has passed. */
  readonly signal: AbortSignal;
  readonly tier: Tier;
  /** Who sent the request, for turns in the queue: the value of a header, or an address. */
  readonly client: string | undefined;
  /** The deadline from the transport, on the clock's monotonic scale; undefined when the request has no deadline. */
  readonly deadlineMs: number | undefined;
  /** Adds a deadline found in the body. @returns the earliest deadline of the call, on the clock's monotonic scale */
  readonly endBy: (deadlineMs: number | undefined) => number | undefined;
  /** The time on the clock's monotonic scale. */
  readonly nowMs: () => number;
};

/** A request as its transport passes it on. */
export type IncomingCall = {
  readonly requestId: string;
  /** Path of the request without its query. Samples of the call are replayed at this path. */
  readonly path: string;
  readonly headers: Call['headers'];
  readonly tier: Tier;
  /** The client's network address; absent: not known. */
  readonly address?: string | undefined;
  /** Milliseconds that the client waits for the answer; undefined without a limit. @throws AppError REQUEST_INVALID */
  readonly timeoutMs: () => number | undefined;
  /** Rejects with ClientGone when the client disconnects before its body is complete. */
  readonly readBody: Call['readBody'];
  readonly hold: Call['hold'];
  /** Returns the memory of the body, and the memory that `hold` charged, to the budget. */
  readonly release: () => void;
  /**
   * Aborted by the transport, with ClientGone, when the client disconnects; aborted by the call at the call's deadline.
   */
  readonly ending: AbortController;
  /** Whether the client's connection is closed. */
  readonly isGone: () => boolean;
};

export type Handler = {
  readonly name: RouteName;
  /** Whether the call is only admitted once the server has started and while memory is below its limit. */
  readonly needsRoom: boolean;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
  /** The body of an error in the handler's protocol. */
  readonly errorBody: (error: ClientError) => unknown;
};

/** Whether requests of this kind count as traffic of the model. */
export function isInference(route: RouteName): boolean {
  return route === 'infer' || route === 'task';
}
