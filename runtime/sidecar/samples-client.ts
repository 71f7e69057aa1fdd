/**
 * Takes samples: from this pod's runtime to pass them on, or from the sidecar of a stable pod to replay them. A sample
 * is a request that a pod of stable, the serving revision, answered and kept; a replay sends it to the new revision.
 *
 * Owns:   the request. Never rejects: a failed request only means that no samples are compared.
 * Limits: the answer has at most `takenLimitBytes` plus its head, and must arrive within `deadlineMs`.
 * Why:    the method is POST, not GET, because each sample is returned only once.
 */
import type { Agent, IncomingMessage } from 'node:http';
import { request } from '../../lib/node-http.ts';
import { bearer, tokenHeader } from '../../api/access.ts';
import { readBounded } from '../../lib/bounded-body.ts';
import { readTaken, takenLimitBytes, type Taken } from '../sampling/sample.ts';

export type SamplesSource = {
  readonly address: string;
  readonly port: number;
  readonly agent: Agent;
  readonly deadlineMs: number;
  /** The token of the revision whose pod is asked. */ readonly token?: string | undefined;
};

const limitBytes = takenLimitBytes + 128 * 1024;

/** The samples as encoded bytes; undefined when the request failed. */
export function takeBytes(source: SamplesSource, max: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const { address, port, agent, deadlineMs, token } = source;
  const headers = { 'content-length': '0', ...(token === undefined ? {} : { [tokenHeader]: bearer(token) }) };
  return new Promise((resolve) => {
    const none = (): void => resolve(undefined);
    const asked = request(
      {
        host: address,
        port,
        method: 'POST',
        path: `/samples?max=${max}`,
        agent,
        signal: AbortSignal.timeout(deadlineMs),
        headers,
      },
      (response) => {
        collect(response).then(resolve, none);
      },
    );
    asked.on('error', none);
    asked.end();
  });
}

/** @returns undefined when the request failed, or the answer cannot be decoded */
export async function takeSamples(source: SamplesSource, max: number): Promise<Taken | undefined> {
  const bytes = await takeBytes(source, max);
  return bytes === undefined ? undefined : readTaken(bytes);
}

async function collect(response: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (response.statusCode === 200) return readBounded(response, limitBytes);
  response.destroy();
  return undefined;
}
