/**
 * Sends one request to the runtime of this pod or of another pod.
 *
 * Owns:   the request, its deadline and the limit of the answer. Failures are returned as values; the caller decides
 *         what they mean. Uses node:http like the rest of the sidecar, because fetch's client would double the
 *         sidecar's memory.
 * Limits: an answer has at most `answerLimitBytes` and must arrive within `deadlineMs`.
 * Terms:  the port for sidecars is a second port of the runtime, on which requests with the token of the pod's revision
 *         are not counted as traffic. A revision is one immutable configuration of a model.
 */
import type { Agent, IncomingMessage } from 'node:http';
import { request } from '../../lib/node-http.ts';
import { readBounded } from '../../lib/bounded-body.ts';
import { bearer, tokenHeader } from '../../api/access.ts';
import { messageOf } from '../../api/errors.ts';
import { present } from '../../api/present.ts';
import { besideHeader, serviceHeader, serviceMsIn } from '../call/beside.ts';

export type Question = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: Uint8Array;
  /** Number of JSON bytes at the start of the body; absent if the whole body is JSON. */
  readonly jsonBytes?: number;
  /** Asks the runtime to refuse the request if it would delay users. Only works at the port for sidecars. */
  readonly besideUsers?: true;
};

export type Answered =
  | {
      readonly kind: 'answer';
      readonly body: Uint8Array<ArrayBuffer>;
      readonly jsonBytes: number | undefined;
      /**
       * Milliseconds that the request took inside the runtime, without the queue. Absent if the runtime was not idle
       * or ran the request together with others, because the time is then not comparable (beside.ts).
       */
      readonly serviceMs?: number;
    }
  /** A retry would have the same result: the request or the model is at fault. */
  | { readonly kind: 'refused'; readonly status: number; readonly why: string }
  /** The runtime could not be reached, did not answer in time, or has no capacity now: retry later. */
  | { readonly kind: 'unavailable'; readonly why: string };

export type RuntimeDoor = {
  readonly address: string;
  readonly port: number;
  readonly agent: Agent;
  readonly deadlineMs: number;
  /**
   * Token of the revision whose pod is asked; without it, the port for sidecars treats the request as a user's request.
   */
  readonly token?: string | undefined;
  /** Aborted when the answer is no longer needed. */
  readonly signal: AbortSignal;
};

/** Maximum size of an answer, which is enough for the outputs of a golden case with 4 MiB of inputs. */
export const answerLimitBytes = 32 * 2 ** 20;
const whyLimit = 300;

/** Sends the question. The promise does not reject: errors are results too. */
export function askRuntime(question: Question, door: RuntimeDoor): Promise<Answered> {
  const { address, port, agent, deadlineMs } = door;
  const signal = AbortSignal.any([AbortSignal.timeout(deadlineMs), door.signal]);
  return new Promise((resolve) => {
    const fail = (error: Error): void => resolve({ kind: 'unavailable', why: whyOf(error, door) });
    const asked = request(
      {
        host: address,
        port,
        method: question.method,
        path: question.path,
        agent,
        signal,
        headers: headersOf(question, door),
      },
      (response) => {
        readBounded(response, answerLimitBytes).then((body) => resolve(answeredOf(response, body)), fail);
      },
    );
    asked.on('error', fail);
    asked.end(question.body);
  });
}

function headersOf(
  { body, jsonBytes, besideUsers }: Question,
  { deadlineMs, token }: RuntimeDoor,
): Record<string, string> {
  const deadline = {
    'x-request-timeout-ms': String(deadlineMs),
    ...(besideUsers === undefined ? {} : { [besideHeader]: '1' }),
    ...(token === undefined ? {} : { [tokenHeader]: bearer(token) }),
  };
  if (body === undefined) return deadline;
  const type = jsonBytes === undefined ? 'application/json' : 'application/octet-stream';
  const form = jsonBytes === undefined ? undefined : { 'inference-header-content-length': String(jsonBytes) };
  return { ...deadline, 'content-type': type, 'content-length': String(body.length), ...form };
}

/** Statuses of temporary failures, which do not depend on the request. */
const passing = new Set([408, 425, 429, 502, 503, 504]);

function answeredOf(response: IncomingMessage, body: Uint8Array<ArrayBuffer> | undefined): Answered {
  const status = response.statusCode ?? 0;
  if (body === undefined) return { kind: 'refused', status, why: `the answer has more than ${answerLimitBytes} bytes` };
  if (status === 200) {
    const header = response.headers['inference-header-content-length'];
    return {
      kind: 'answer',
      body,
      jsonBytes: typeof header === 'string' && /^\d{1,10}$/.test(header) ? Number(header) : undefined,
      ...present({ serviceMs: serviceMsIn(response.headers[serviceHeader]) }),
    };
  }
  const why = `${status}: ${wordsOf(body)}`;
  return passing.has(status) ? { kind: 'unavailable', why } : { kind: 'refused', status, why };
}

/** The error's message, from an error in the protocol's form or in OpenAI's form. */
function wordsOf(body: Uint8Array): string {
  try {
    const value = JSON.parse(Buffer.from(body.subarray(0, 65_536)).toString('utf8')) as {
      readonly error?: string | { readonly message?: string };
    } | null;
    const said = typeof value?.error === 'string' ? value.error : value?.error?.message;
    return (said ?? 'no reason given').slice(0, whyLimit);
  } catch {
    return 'no reason given';
  }
}

function whyOf(error: Error, { address, port, deadlineMs }: RuntimeDoor): string {
  if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return `nothing listens at ${address}:${port}`;
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return `${address}:${port} did not answer within ${deadlineMs} ms`;
  return messageOf(error);
}
