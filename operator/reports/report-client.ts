/**
 * Fetches one pod's report: `GET http://POD_IP:8081/report`, with instructions for its sidecar in the query.
 *
 * Owns: the request. The client returns a report, or the reason why the pod did not give one. It never throws: it is
 * normal that a pod is starting, cannot be reached, or does not belong to the operator.
 * Limits: `reportLimitBytes` for the body, before and after decompression.
 */
import { Agent, get, type IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip, gunzipSync } from 'node:zlib';
import { bearer, peersTokenHeader, tokenHeader } from '../../api/access.ts';
import { messageOf } from '../../api/errors.ts';
import { ports } from '../../api/names.ts';
import { readBounded } from '../../lib/bounded-body.ts';
import { parseReport } from '../../api/parse-report.ts';
import { reportLimitBytes, reportQuery, type PairSource, type Report } from '../../api/report.ts';

export type Pulled =
  | { readonly kind: 'report'; readonly report: Report }
  | {
      readonly kind: 'nothing';
      readonly reason: string;
      /** True when the connection failed or broke. */
      readonly isUnreachable?: boolean;
    };

/**
 * Instructions in the request for a report. api/report.ts explains them. An instruction that is absent is switched off.
 */
export type ReportAsk = {
  readonly blocksFrom?: number;
  readonly peers?: readonly string[];
  /** The share of live requests, 0 to 1, that the sidecar keeps as samples, for the other revision to answer too. */
  readonly sample?: number;
  /**
   * How the sidecar compares its answers with those of `peers`, the pods of the other revision, and from which score on
   * they agree: `METRIC:LIMIT`.
   */
  readonly agreement?: string;
  readonly pairs?: PairSource;
  readonly probes?: { readonly perMinute: number; readonly pods: number };
  /** The token of the pod's own revision. If absent, the sidecar ignores all instructions except `blocksFrom`. */
  readonly token?: string;
  /** The token of the revision of the pods in `peers`, from which the sidecar gets samples and answers. */
  readonly peersToken?: string;
};

/** Never rejects. If the signal is aborted, the result is `nothing` with the signal's reason. */
export type FetchReport = (ip: string, signal: AbortSignal, ask?: ReportAsk) => Promise<Pulled>;

const unzipInThread = promisify(gunzip);
/** A body up to this size is decompressed in the main thread: handing it to another thread would cost more. */
const smallBytes = 16 << 10;

async function unzip(body: Buffer): Promise<Buffer> {
  const limits = { maxOutputLength: reportLimitBytes };
  return body.length <= smallBytes ? gunzipSync(body, limits) : await unzipInThread(body, limits);
}

export type ReportClient = { readonly fetch: FetchReport; readonly close: () => void };

/**
 * An idle connection is closed after this time. The time is longer than the pause between pulls in a rollout and
 * shorter than the pause at rest, so that only connections of rollouts are reused.
 */
const idleMs = 8_000;

/** Keeps one connection for each pod, and closes it after `idleMs` without a request. Does not follow redirects. */
export function createReportClient(port: number = ports.sidecar): ReportClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1, timeout: idleMs });
  const fetch: FetchReport = async (ip, signal, ask = {}) => {
    try {
      const response = await open({ ip, port, path: `/report${queryOf(ask)}`, headers: headersOf(ask), agent, signal });
      return await read(response);
    } catch (error) {
      return signal.aborted
        ? { kind: 'nothing', reason: messageOf(signal.reason) }
        : { kind: 'nothing', reason: messageOf(error), isUnreachable: true };
    }
  };
  return { fetch, close: () => agent.destroy() };
}

function queryOf({ blocksFrom, peers, sample, agreement, pairs, probes }: ReportAsk): string {
  const query = new URLSearchParams();
  if (blocksFrom !== undefined) query.set(reportQuery.blocksFrom, String(blocksFrom));
  if (peers !== undefined && peers.length > 0) query.set(reportQuery.peers, peers.join(','));
  if (sample !== undefined && sample > 0) query.set(reportQuery.sample, String(sample));
  if (agreement !== undefined) query.set(reportQuery.agreement, agreement);
  if (pairs !== undefined) query.set(reportQuery.pairs, pairs);
  if (probes !== undefined) query.set(reportQuery.probes, `${probes.perMinute}/${probes.pods}`);
  return query.size === 0 ? '' : `?${query.toString()}`;
}

/** Tokens are sent in headers and not in the URL, because proxies log URLs. */
function headersOf({ token, peersToken }: ReportAsk): Readonly<Record<string, string>> {
  return {
    accept: 'application/json',
    'accept-encoding': 'gzip',
    ...(token === undefined ? {} : { [tokenHeader]: bearer(token) }),
    ...(peersToken === undefined ? {} : { [peersTokenHeader]: peersToken }),
  };
}

type Target = {
  readonly ip: string;
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly agent: Agent;
  readonly signal: AbortSignal;
};

function open({ ip, port, path, headers, agent, signal }: Target): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get({ host: ip, port, path, agent, signal, headers }, resolve).on('error', reject);
  });
}

async function read(response: IncomingMessage): Promise<Pulled> {
  if (response.statusCode !== 200) {
    response.destroy();
    return { kind: 'nothing', reason: `the sidecar answered with HTTP status ${response.statusCode ?? 0}` };
  }
  const body = await readBounded(response, reportLimitBytes);
  return body === undefined ? tooLarge() : await unpack(Buffer.from(body.buffer), response.headers['content-encoding']);
}

async function unpack(body: Buffer, encoding: string | undefined): Promise<Pulled> {
  let plain = body;
  if (encoding === 'gzip') {
    try {
      plain = await unzip(body);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
        ? tooLarge()
        : { kind: 'nothing', reason: `the report cannot be decompressed: ${messageOf(error)}` };
    }
  }
  let value: unknown;
  try {
    value = JSON.parse(plain.toString('utf8'));
  } catch {
    return { kind: 'nothing', reason: 'the report is not JSON' };
  }
  const parsed = parseReport(value);
  return parsed.kind === 'report' ? parsed : { kind: 'nothing', reason: parsed.problem };
}

function tooLarge(): Pulled {
  return { kind: 'nothing', reason: `the report has more than ${reportLimitBytes} bytes, the limit` };
}
