/**
 * Asks a runtime one question as any client would: this pod's own, or that of another pod.
 *
 * Owns:   the request, its deadline and the bound of the answer. Every way to fail is a value: who asks decides what a
 *         refusal or a silence means.
 * Limits: an answer has at most `answerLimitBytes`; it is there within `deadlineMs` or is none.
 * Why:    node:http, not fetch, as everywhere in the sidecar: fetch's client would double what the process holds.
 */
import { request, type Agent, type IncomingMessage } from 'node:http';
import { readBounded } from '../../lib/bounded-body.ts';
import { bearer, tokenHeader } from '../../api/access.ts';
import { messageOf } from '../../api/errors.ts';
import { present } from '../../api/present.ts';
import { besideHeader, serviceHeader, serviceMsIn } from '../call/beside.ts';

export type Question = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: Uint8Array;
  /** How many of the body's bytes are JSON, when binary data follow. */
  readonly jsonBytes?: number;
  /** At the port for sidecars: to be refused while it would be in the way of users. */
  readonly besideUsers?: true;
};

export type Answered =
  | {
      readonly kind: 'answer';
      readonly body: Uint8Array<ArrayBuffer>;
      readonly jsonBytes: number | undefined;
      /** Milliseconds inside the runtime, the queue's apart, where they are comparable (beside.ts). */
      readonly serviceMs?: number;
    }
  /** It will say the same again: the question is at fault, or the model. */
  | { readonly kind: 'refused'; readonly status: number; readonly why: string }
  /** Nobody is there, or there is no room now: ask again later. */
  | { readonly kind: 'unavailable'; readonly why: string };

export type RuntimeDoor = {
  readonly address: string;
  readonly port: number;
  readonly agent: Agent;
  readonly deadlineMs: number;
  /** Of the revision whose pod is asked; without it the port for sidecars answers as for users. */
  readonly token?: string | undefined;
  /** Aborted when nobody wants the answer any more. */
  readonly signal: AbortSignal;
};

/** Outputs of a case that has 4 MiB of inputs; more is not worth comparing. */
export const answerLimitBytes = 32 * 2 ** 20;
const whyLimit = 300;

/** Never rejects. */
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

/** Statuses that speak of the moment, not of the question. */
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

/** What the error says, in the protocol's form or OpenAI's. */
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
    return `${address}:${port} gave no answer within ${deadlineMs} ms`;
  return messageOf(error);
}
