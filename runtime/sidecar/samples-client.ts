/**
 * Takes samples: from this pod's runtime for whoever asks this sidecar, from a stable pod's sidecar for this pod.
 *
 * Owns:   the request and its bounds. Never rejects: where nothing comes, there is nothing to compare.
 * Limits: `takenLimitBytes` and the head in front of them, within `deadlineMs`.
 * Why:    POST, since what was handed out is not handed out again.
 */
import { request, type Agent, type IncomingMessage } from 'node:http';
import { bearer, tokenHeader } from '../../api/access.ts';
import { readBounded } from '../../lib/bounded-body.ts';
import { readTaken, takenLimitBytes, type Taken } from '../sampling/sample.ts';

export type SamplesSource = {
  readonly address: string;
  readonly port: number;
  readonly agent: Agent;
  readonly deadlineMs: number;
  /** Of the revision whose pod is asked. */ readonly token?: string | undefined;
};

const limitBytes = takenLimitBytes + 128 * 1024;

/** The samples as they travel; undefined when none could be had. */
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

/** @returns undefined when there were none to be had, or what came were no samples */
export async function takeSamples(source: SamplesSource, max: number): Promise<Taken | undefined> {
  const bytes = await takeBytes(source, max);
  return bytes === undefined ? undefined : readTaken(bytes);
}

async function collect(response: IncomingMessage): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (response.statusCode === 200) return readBounded(response, limitBytes);
  response.destroy();
  return undefined;
}
