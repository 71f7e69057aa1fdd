/**
 * The operator's instructions in the query of a request for a report (api/report.ts, reportQuery).
 *
 * Owns:  parsing the instructions and limiting their values. Each request repeats all instructions; an instruction that
 *        a request leaves out is switched off.
 * Terms: a sample is a request that a pod of stable (the serving revision) answered and kept. A pod of the candidate
 *        (the revision that may replace stable) replays samples: it answers them too. A probe is a golden input that
 *        it sends to both revisions. A pair is the service times of both revisions for the same request.
 * Pure.
 */
import { isIP } from 'node:net';
import { isToken } from '../../api/access.ts';
import { AppError } from '../../api/errors.ts';
import { goldenMetricNames, type GoldenMetric } from '../../api/golden-metrics.ts';
import { present } from '../../api/present.ts';
import { maxProbesPerMinute, reportQuery, type PairSource } from '../../api/report.ts';

export type AgreementRule = {
  readonly metric: GoldenMetric;
  /** Two answers agree if the metric's value is at least this limit; for an error metric, at most this limit. */
  readonly limit: number;
};

export type ProbeRate = {
  /** Probes per minute of all candidate pods together. */
  readonly perMinute: number;
  /** Number of candidate pods. */
  readonly pods: number;
};

export type Asked = {
  /** Index of the first block to report; absent: all blocks. */
  readonly blocksFrom?: number;
  /** IP addresses of stable's ready pods. */
  readonly peers: readonly string[];
  /** Share of requests to keep as samples for a candidate, 0..1. */
  readonly sample: number;
  readonly agreement?: AgreementRule;
  /** Replays give pairs of service times, which are counted under this name (Replay or Shadow). Absent: no pairs. */
  readonly pairs?: PairSource;
  /** How often golden inputs are sent to both revisions; absent: never. */
  readonly probes?: ProbeRate;
  /** The token of the pods in `peers`. */
  readonly peersToken?: string;
};

export const nothingAsked: Asked = { peers: [], sample: 0 };

export const maxPeers = 16;

/**
 * @param peersToken value of the header with the token of `peers`; ignored when the value does not have the form of a
 * token
 * @throws AppError REQUEST_INVALID
 */
export function askedIn(query: URLSearchParams, peersToken?: unknown): Asked {
  const from = query.get(reportQuery.blocksFrom);
  const agreement = query.get(reportQuery.agreement);
  return {
    ...(from === null ? {} : { blocksFrom: numberIn(reportQuery.blocksFrom, from, Number.MAX_SAFE_INTEGER) }),
    peers: peersIn(query.get(reportQuery.peers) ?? ''),
    sample: numberIn(reportQuery.sample, query.get(reportQuery.sample) ?? '0', 1),
    ...(agreement === null ? {} : { agreement: ruleIn(agreement) }),
    ...present({ pairs: sourceIn(query.get(reportQuery.pairs)), probes: rateIn(query.get(reportQuery.probes)) }),
    ...(isToken(peersToken) ? { peersToken } : {}),
  };
}

function peersIn(text: string): readonly string[] {
  const peers = text === '' ? [] : text.split(',');
  if (peers.length > maxPeers)
    throw invalid(reportQuery.peers, `has ${peers.length} addresses; the limit is ${maxPeers}`);
  const strange = peers.find((peer) => isIP(peer) === 0);
  if (strange !== undefined)
    throw invalid(reportQuery.peers, `has '${strange.slice(0, 50)}', which is not an IP address`);
  return peers;
}

function ruleIn(text: string): AgreementRule {
  const [name, limit = '', ...rest] = text.split(':');
  const metric = goldenMetricNames.find((known) => known === name);
  if (metric === undefined || rest.length > 0)
    throw invalid(
      reportQuery.agreement,
      `is '${text.slice(0, 50)}', not METRIC:MIN with a metric of ${goldenMetricNames.join(', ')}`,
    );
  return { metric, limit: numberIn(reportQuery.agreement, limit, Number.MAX_VALUE) };
}

function sourceIn(text: string | null): PairSource | undefined {
  if (text === null || text === 'Replay' || text === 'Shadow') return text ?? undefined;
  throw invalid(reportQuery.pairs, `is '${text.slice(0, 50)}', not Replay or Shadow`);
}

function rateIn(text: string | null): ProbeRate | undefined {
  if (text === null) return undefined;
  const [, perMinute = '', pods = ''] = /^(\d{1,4})\/(\d{1,5})$/.exec(text) ?? [];
  const rate = { perMinute: Number(perMinute), pods: Number(pods) };
  if (rate.perMinute < 1 || rate.perMinute > maxProbesPerMinute || rate.pods < 1)
    throw invalid(
      reportQuery.probes,
      `is '${text.slice(0, 50)}', not PER_MINUTE/PODS with 1 to ${maxProbesPerMinute} a minute`,
    );
  return rate;
}

function numberIn(name: string, text: string, max: number): number {
  if (!/^\d+(\.\d+)?(e-?\d+)?$/.test(text) || Number(text) > max)
    throw invalid(name, `is '${text.slice(0, 50)}', not a number from 0 to ${max}`);
  return Number(text);
}

function invalid(name: string, what: string): AppError {
  return new AppError('REQUEST_INVALID', { problem: `query parameter ${name} ${what}` });
}
