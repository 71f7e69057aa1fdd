/**
 * Offers the calls of clients to the sampler: the request's body when it has arrived, and the answer when the call
 * ends. The sampler keeps some of them as samples, which are later sent to another revision too. A draft is a chosen
 * request that waits for its answer.
 *
 * Owns:  which parts of a call a sample contains.
 * Limits: an answer is only copied when it is complete in memory and the sampler may keep it. Streamed answers are
 *         never copied.
 * Ends:  when a call ends, its draft is settled. A complete answer with status 200 is kept, unless it is too large.
 */
import { present } from '../../api/present.ts';
import { reportedTiers } from '../../api/tiers.ts';
import { isStream, type Answer, type WholeBody } from '../call/answer.ts';
import { sizeClassOf } from '../call/counters.ts';
import { isInference, type Call, type IncomingCall } from '../call/handler.ts';
import type { AnsweredCall, ObservedCall, Observer } from '../call/observer.ts';
import type { Message } from './sample.ts';
import type { Draft, Sampler } from './sampler.ts';

export type SampledCallsDeps = {
  readonly sampler: Pick<Sampler, 'on' | 'choose' | 'sampleLimitBytes'>;
  /**
   * Whether the runtime is idle (CallDeps.isIdle). The service times of two revisions are compared only for requests
   * that arrived while it was.
   */
  readonly isIdle: () => boolean;
};

export class SampledCalls implements Observer {
  readonly #deps: SampledCallsDeps;
  readonly #chosen = new Map<IncomingCall, { readonly draft: Draft; readonly cameWhileIdle: boolean }>();

  constructor(deps: SampledCallsDeps) {
    this.#deps = deps;
  }

  received({ incoming, route }: ObservedCall, body: Uint8Array<ArrayBuffer>): void {
    const { sampler, isIdle } = this.#deps;
    if (!sampler.on || !isInference(route)) return;
    const draft = sampler.choose({ body, jsonBytes: jsonBytesIn(incoming.headers) });
    if (draft !== undefined) this.#chosen.set(incoming, { draft, cameWhileIdle: isIdle() });
  }

  answered(call: AnsweredCall): void {
    const chosen = this.#chosen.get(call.incoming);
    if (chosen === undefined) return;
    this.#chosen.delete(call.incoming);
    const { draft, cameWhileIdle } = chosen;
    if (call.kind !== 'Answered' || call.status !== 200 || isStream(call.answer.body)) {
      draft.dropped();
      return;
    }
    if (call.answer.body.bytes > this.#deps.sampler.sampleLimitBytes) {
      draft.tooLarge();
      return;
    }
    draft.answered({
      // Remove the version from the path: the revision that the sample is replayed on has another version.
      path: call.incoming.path.replace(/\/versions\/[^/]*/, ''),
      answer: messageOf(call.answer.body, call.answer.headers),
      tier: reportedTiers[call.incoming.tier],
      sizeClass: sizeClassOf(call.trace.elements),
      ...present({ serviceMs: cameWhileIdle ? call.trace.serviceMs : undefined }),
    });
  }
}

function messageOf({ chunks, bytes }: WholeBody, headers: Answer['headers']): Message {
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    const part = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    body.set(part, at);
    at += part.length;
  }
  return { body, jsonBytes: jsonBytesIn(headers) };
}

function jsonBytesIn(headers: Call['headers'] = {}): number | undefined {
  const header = headers['inference-header-content-length'];
  return header === undefined ? undefined : Number(header);
}
