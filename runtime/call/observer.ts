/**
 * What is told of every call that ended. Metrics, counters, sums and samples listen to it.
 *
 * Owns:  the port and the facts it gives. An observer never throws and changes nothing of the call.
 * Ends:  `answered` is called exactly once for each call, after `received` if its body came in full.
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
  /** Of the answer, in HTTP's numbers; 499 when the client left before it. */
  readonly status: number;
} & (
    | { readonly kind: 'Answered'; readonly answer: Answer }
    | { readonly kind: 'Failed'; readonly code: string; readonly outcome: OutcomeKind }
    /** The client left before its answer: neither good nor bad is known of it. */
    | { readonly kind: 'Abandoned' }
  );

export type Observer = {
  /** The body is here in full; its handler has not begun. @param body is only valid during this call */
  readonly received?: (call: ObservedCall, body: Uint8Array<ArrayBuffer>) => void;
  readonly answered: (call: AnsweredCall) => void;
};

/** Tells several observers, in this order. */
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
