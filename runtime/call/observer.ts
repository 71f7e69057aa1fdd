/**
 * The interface through which metrics, counters, statistics and the sampler observe calls.
 *
 * Owns:  the interface and the facts it passes on. An observer never throws and does not change the call.
 * Ends:  `answered` is called exactly once for each call, after `received` if the body arrived in full.
 */
import type { OutcomeKind } from '../../api/outcomes.ts';
import type { Answer } from './answer.ts';
import type { IncomingCall, RouteName } from './handler.ts';
import type { RequestTrace } from './trace.ts';

export type ObservedCall = {
  readonly incoming: IncomingCall;
  readonly route: RouteName;
  readonly trace: RequestTrace;
};

export type AnsweredCall = ObservedCall & {
  /** HTTP status of the answer; 499 when the client disconnected before the answer. */
  readonly status: number;
} & (
    | { readonly kind: 'Answered'; readonly answer: Answer }
    | { readonly kind: 'Failed'; readonly code: string; readonly outcome: OutcomeKind }
    /** The client disconnected before its answer; this counts neither as success nor as failure. */
    | { readonly kind: 'Abandoned' }
  );

export type Observer = {
  /** Called when the body has arrived in full and is not decoded yet. @param body only valid during this call */
  readonly received?: (call: ObservedCall, body: Uint8Array<ArrayBuffer>) => void;
  readonly answered: (call: AnsweredCall) => void;
};

/** An observer that calls several other observers, in this order. */
export function observers(list: readonly Observer[]): Required<Observer> {
  return {
    received: (call, body) => {
      for (const observer of list) observer.received?.(call, body);
    },
    answered: (call) => {
      for (const observer of list) observer.answered(call);
    },
  };
}
