/**
 * The access file of a revision: the operator writes it into the revision's ConfigMap, and the pods read it. The file
 * contains a token. A client needs the token to instruct the sidecars of these pods and to read samples (live requests
 * that are kept with their answers). Reports and metrics can be read without the token.
 *
 * Owns: the form of the token, and the headers that carry it. The token is never in a URL, log, status or Event.
 */
import { parseSchemaOne } from './record.ts';

export type Access = {
  readonly schema: 1;
  /** 32 random bytes in base64url. */
  readonly token: string;
  /** Largest share of live requests that may be kept as samples, 0 to 1. If absent, no request is kept. */
  readonly sampleRate?: number;
};

/** Carries the token of the pod that receives the request: `authorization: Bearer TOKEN`. */
export const tokenHeader = 'authorization';
/** In a request for a report with the query parameter `peers`: carries the token of the pods that `peers` names. */
export const peersTokenHeader = 'x-onnx-peers-token';

const tokenForm = /^[A-Za-z0-9_-]{43}$/;

export function isToken(text: unknown): text is string {
  return typeof text === 'string' && tokenForm.test(text);
}

export function bearer(token: string): string {
  return `Bearer ${token}`;
}

/** @returns undefined when the text is not a valid access file */
export function parseAccess(text: string): Access | undefined {
  const value = parseSchemaOne(text);
  if (value === undefined) return undefined;
  const { token, sampleRate } = value as { readonly token?: unknown; readonly sampleRate?: unknown };
  if (!isToken(token)) return undefined;
  const isRate = typeof sampleRate === 'number' && sampleRate > 0 && sampleRate <= 1;
  return { schema: 1, token, ...(isRate ? { sampleRate } : {}) };
}

export function printAccess(access: Access): string {
  return `${JSON.stringify(access)}\n`;
}
