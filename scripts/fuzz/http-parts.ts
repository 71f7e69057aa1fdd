/**
 * Helpers for fuzz cases that test the HTTP server and not the inference protocol.
 * Owns: the name of the served model, one valid request to it, and functions that build a case from actions of a client
 * (`Part`). Pure.
 */
import { get, parseOrUndefined, statusIn, type Case, type Check, type Due, type Part } from './cases.ts';
import type { Chance } from './chance.ts';

export type MakeCase = (chance: Chance) => Case;

/** The model to which raw HTTP requests are sent. Its output equals its input, here [1,2,3,4]. */
export const server = 'floats';
export const inferPath = `/v2/models/${server}/infer`;
export const body = Buffer.from('{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}');

export const answered: Check = (answer) => {
  if (answer.status !== 200) return `status ${answer.status}, expected 200: ${answer.body.subarray(0, 200).toString()}`;
  const { outputs } = (parseOrUndefined(answer.body) ?? {}) as {
    readonly outputs?: readonly { readonly data?: unknown }[];
  };
  return JSON.stringify(outputs?.[0]?.data) === '[1,2,3,4]'
    ? undefined
    : `the answer is ${answer.body.subarray(0, 200).toString()}`;
};

export function keepOpen(kind: string, parts: readonly Part[], ...due: readonly Due[]): Case {
  return { kind: `http/${kind}`, server, parts, due, connection: 'keep' };
}

/**
 * A case with invalid or truncated HTTP. The client closes its sending side, so that the server does not wait for more
 * bytes.
 */
export function freeToClose(kind: string, parts: readonly Part[], ...statuses: readonly number[]): Case {
  return {
    kind: `http/${kind}`,
    server,
    parts: [...parts, 'end'],
    due: [{ check: statusIn(...statuses) }],
    connection: 'free',
  };
}

/** The statuses with which the server may answer invalid or truncated HTTP. */
export const refused = [400, 404, 405, 408, 411, 413, 414, 417, 426, 431, 501, 505];

export function plainRequest(headers: readonly string[] = []): Buffer {
  return Buffer.concat([get(inferPath, [...headers, `Content-Length: ${body.length}`], 'POST'), body]);
}
