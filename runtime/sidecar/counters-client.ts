/**
 * Reads the runtime's counters once (`GET http://POD_IP:8082/counters`), and sets the share of requests to sample.
 *
 * Limits: the body has at most `reportLimitBytes`, and must arrive within `deadlineMs`. Failures are returned as
 *         values, because the sidecar reports that a runtime is starting, is busy or has ended.
 * Why:    node:http is used instead of fetch, because the client behind fetch would double the sidecar's memory in
 *         every pod.
 */
import { get } from '../../lib/node-http.ts';
import { readBounded } from '../../lib/bounded-body.ts';
import { bearer, tokenHeader } from '../../api/access.ts';
import { messageOf } from '../../api/errors.ts';
import { parseReport } from '../../api/parse-report.ts';
import { reportLimitBytes, type Report } from '../../api/report.ts';
import type { RuntimeDoor } from '../protocol/ask-runtime.ts';

export type Reading =
  /** The report without `seq`, which the sidecar adds. */
  | { readonly kind: 'read'; readonly counters: Omit<Report, 'seq'> }
  /** The connection was refused: the runtime has not started or has ended. */
  | { readonly kind: 'gone'; readonly why: string }
  /** The runtime did not answer with usable counters. */
  | { readonly kind: 'silent'; readonly why: string };

export type CountersSource = Pick<RuntimeDoor, 'address' | 'port' | 'deadlineMs' | 'agent'>;

/**
 * Never rejects.
 * @param sample share of requests of which the runtime should keep samples, 0..1
 * @param token token of the revision; without it the runtime ignores `sample`
 */
export function readCounters(source: CountersSource, sample = 0, token?: string): Promise<Reading> {
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(source.deadlineMs);
    const fail = (error: Error): void => resolve(failureOf(error, source));
    const request = get(
      {
        host: source.address,
        port: source.port,
        path: `/counters?sample=${sample}`,
        agent: source.agent,
        signal,
        headers: token === undefined ? {} : { [tokenHeader]: bearer(token) },
      },
      (response) => {
        readBounded(response, reportLimitBytes).then(
          (body) => resolve(readingOf(response.statusCode ?? 0, body)),
          fail,
        );
      },
    );
    request.on('error', fail);
  });
}

function readingOf(status: number, body: Uint8Array | undefined): Reading {
  if (body === undefined) return { kind: 'silent', why: `its counters exceed ${reportLimitBytes} bytes` };
  if (status !== 200) return { kind: 'silent', why: `GET /counters was answered with ${status}` };
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return { kind: 'silent', why: 'its counters are not JSON' };
  }
  const parsed = parseReport({ ...(value as object), seq: 0 });
  return parsed.kind === 'report'
    ? { kind: 'read', counters: parsed.report }
    : { kind: 'silent', why: `its counters are invalid: ${parsed.problem}` };
}

function failureOf(error: Error, source: CountersSource): Reading {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ECONNREFUSED') return { kind: 'gone', why: `nothing listens at ${source.address}:${source.port}` };
  if (error.name === 'AbortError' || error.name === 'TimeoutError')
    return { kind: 'silent', why: `no answer within ${source.deadlineMs} ms` };
  return { kind: 'silent', why: messageOf(error) };
}
