/**
 * Who may do more at a pod's sidecar and metrics ports than read: the file that the operator writes into a revision's
 * ConfigMap and the revision's pods read.
 *
 * Owns:  the form of the token, and how it travels: in headers, never in a URL, which is logged on the way.
 * Rule:  the token is written in no log, status or Event.
 */
import { parseSchemaOne } from './record.ts';

export type Access = {
  readonly schema: 1;
  /** 32 random bytes in base64url. */
  readonly token: string;
  /** The most that may be sampled of live requests, 0..1. Absent: nothing, because no quality gate asks for it. */
  readonly sampleRate?: number;
};

/** With which requests carry the token of the pod that they go to: `authorization: Bearer TOKEN`. */
export const tokenHeader = 'authorization';
/** With `peers` of a request for a report: the token of the pods that are named. */
export const peersTokenHeader = 'x-onnx-peers-token';

const tokenForm = /^[A-Za-z0-9_-]{43}$/;

export function isToken(text: unknown): text is string {
  return typeof text === 'string' && tokenForm.test(text);
}

export function bearer(token: string): string {
  return `Bearer ${token}`;
}

/** @returns undefined when the text is not what the operator writes */
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
