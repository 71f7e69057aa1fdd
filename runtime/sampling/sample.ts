/**
 * Samples (requests with their answers, for another revision to answer), and their format between pods. Pure.
 *
 * Owns:   the format: one line of JSON about all samples, then the bodies of the samples in the same order. Input is
 *         checked.
 * Limits: `takenLimitBytes` in one transfer. Samples may be private data and are never written to disk or a log.
 * Terms:  the sampler keeps samples in a pod of stable, the revision that serves. A take is a request by which a pod of
 *         the candidate, the revision that may replace stable, gets samples.
 */
import { present } from '../../api/present.ts';
import { k, type Infer } from '../../api/schema/builder.ts';
import { checkOf } from '../../api/schema/check.ts';
import { c } from '../../api/schema/contract.ts';

/** A body. `jsonBytes`: length of the body's JSON part, if binary data follow that part. */
export type Message = { readonly body: Uint8Array<ArrayBuffer>; readonly jsonBytes: number | undefined };

export type Sample = {
  /** Path without the model version, because the other revision has another version. */
  readonly path: string;
  readonly request: Message;
  readonly answer: Message;
  readonly tier: string;
  readonly sizeClass: number;
  /**
   * Service time in milliseconds, without the queue. Absent when the time cannot be compared, because the runtime was
   * not idle (beside.ts).
   */
  readonly serviceMs?: number;
};

/** The result of one take. Each sample is returned once. */
export type Taken = {
  readonly samples: readonly Sample[];
  /**
   * Number of requests that were chosen since the last take, but not sampled, because the request or its answer is too
   * large.
   */
  readonly tooLarge: number;
};

/** Maximum bytes of one transfer. The sampler's limit for one sample never exceeds this value. */
export const takenLimitBytes = 4 * 2 ** 20;
export const maxTaken = 16;
const headLimitBytes = 64 * 1024;

export function printTaken({ samples, tooLarge }: Taken): Buffer {
  const heads = samples.map(({ path, request, answer, tier, sizeClass, serviceMs }) => ({
    path,
    tier,
    sizeClass,
    ...present({ serviceMs }),
    request: headOf(request),
    answer: headOf(answer),
  }));
  const bodies = samples.flatMap(({ request, answer }) => [request.body, answer.body]);
  return Buffer.concat([Buffer.from(`${JSON.stringify({ tooLarge, samples: heads })}\n`), ...bodies]);
}

const messageHead = k.object({ bytes: c.count(), jsonBytes: c.count().optional() });
const headSchema = k.object({
  tooLarge: c.count(),
  samples: k.list(
    k.object({
      // The path becomes part of a request, so only paths of the two protocols are accepted.
      path: k.string({ max: 204, pattern: '^/v[12]/[\\w\\-./%]{1,200}$' }),
      tier: k.string({ max: headLimitBytes }),
      sizeClass: c.count(),
      serviceMs: c.number({ above: 0 }).optional(),
      request: messageHead,
      answer: messageHead,
    }),
    { max: maxTaken },
  ),
});
type MessageHead = Infer<typeof messageHead>;
type Head = Infer<typeof headSchema>;
const check = checkOf(headSchema, 'Ignore');

/** @returns undefined when the bytes do not have this format */
export function readTaken(bytes: Uint8Array<ArrayBuffer>): Taken | undefined {
  const end = bytes.subarray(0, headLimitBytes).indexOf(0x0a);
  const value = end < 0 ? undefined : parse(bytes.subarray(0, end));
  if (check(value) !== undefined) return undefined;
  const head = value as Head;
  const rest = new Cutter(bytes.subarray(end + 1));
  const samples: Sample[] = [];
  for (const { path, tier, sizeClass, serviceMs, request: asked, answer: answered } of head.samples) {
    const request = messageOf(asked, rest);
    const answer = messageOf(answered, rest);
    if (request === undefined || answer === undefined) return undefined;
    samples.push({ path, tier, sizeClass, request, answer, ...present({ serviceMs }) });
  }
  return rest.done ? { samples, tooLarge: head.tooLarge } : undefined;
}

function headOf({ body, jsonBytes }: Message): MessageHead {
  return { bytes: body.length, ...(jsonBytes === undefined ? {} : { jsonBytes }) };
}

function messageOf({ bytes, jsonBytes }: MessageHead, rest: Cutter): Message | undefined {
  const body = rest.cut(bytes);
  return body === undefined ? undefined : { body, jsonBytes };
}

/** Takes bytes from the front, as aligned copies. */
class Cutter {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  cut(length: number): Uint8Array<ArrayBuffer> | undefined {
    if (this.#at + length > this.#bytes.length) return undefined;
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
