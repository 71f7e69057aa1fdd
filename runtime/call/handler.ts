/**
 * A request as a transport brings it, and the handler that answers it.
 *
 * Owns:  those types. A transport chooses the handler; perform.ts runs it. A handler only translates.
 */
import type { Tier } from '../../api/tiers.ts';
import type { Answer } from './answer.ts';
import type { ClientError, Trace } from './call.ts';

/** The kind of a request: a label of the metrics, and what decides whether it counts as inference. */
export type RouteName = 'infer' | 'task' | 'health' | 'metadata' | 'other';

/** What a handler sees of its call. */
export type Call = {
  /** Lower-case names; of a repeated header the values joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Decompressed and bounded. @param headBytes bytes before data that should lie aligned, 0 for none */
  readonly readBody: (headBytes: number) => Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Charges what the answer will take. @throws AppError BODIES_FULL, REQUEST_TOO_LARGE for more than all answers may
   * have
   */
  readonly hold: (bytes: number) => void;
  readonly trace: Trace;
  /** Aborted when the client leaves or its deadline has come. */
  readonly signal: AbortSignal;
  readonly tier: Tier;
  /** On the clock's monotonic scale, from the transport; undefined without one. */
  readonly deadlineMs: number | undefined;
  /** Says that the body gives a deadline, too: the earlier one counts. @returns it, on the clock's monotonic scale */
  readonly endBy: (deadlineMs: number | undefined) => number | undefined;
  /** The clock's monotonic scale. */
  readonly nowMs: () => number;
};

/** A request as its transport brings it. */
export type IncomingCall = {
  readonly requestId: string;
  /** What was asked for, without a query: samples of the call are asked again with it. */
  readonly path: string;
  readonly headers: Call['headers'];
  readonly tier: Tier;
  /** How long the answer is worth waiting for; undefined without a limit. @throws AppError REQUEST_INVALID */
  readonly timeoutMs: () => number | undefined;
  /** Rejects with ClientGone when the client leaves half-way. */
  readonly readBody: Call['readBody'];
  readonly hold: Call['hold'];
  /** The handler does not use the body any more, nor what was held for the answer. */
  readonly release: () => void;
  /** The transport aborts it with ClientGone when the client leaves; the call aborts it when its deadline has come. */
  readonly ending: AbortController;
  /** Whether the client left, as far as the transport knows. */
  readonly isGone: () => boolean;
};

export type Handler = {
  readonly name: RouteName;
  /** Whether the server must have started and must have memory to spare. */
  readonly needsRoom: boolean;
  readonly handle: (call: Call) => Answer | Promise<Answer>;
  /** The body of an error in the handler's protocol. */
  readonly errorBody: (error: ClientError) => unknown;
};

/** Whether requests of this kind count as the model's traffic. */
export function isInference(route: RouteName): boolean {
  return route === 'infer' || route === 'task';
}
