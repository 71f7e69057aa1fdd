/**
 * The message about the result of a latency gate that is judged by pairs, for the status and for `kubectl-onnx replay`.
 *
 * Terms: A pair is the service times of the same request on stable and on the candidate. The sources of pairs are
 * probes (golden inputs sent to both), replays of kept requests, and shadowed requests.
 * Pure.
 */
import { pairSources, type PairSource } from '../../api/report.ts';
import { plural } from '../../api/text.ts';
import type { PairedResult } from './verdict.ts';

const sources = { Probe: 'probe', Replay: 'replay', Shadow: 'shadowed request' } as const satisfies Record<
  PairSource,
  string
>;

/** The number of pairs from each source, for example "310 paired probes and 40 paired replays". */
export function pairsOf({ counts }: Pick<PairedResult, 'counts'>): string {
  const parts = pairSources.flatMap((source) =>
    counts[source] === undefined ? [] : [plural(counts[source], `paired ${sources[source]}`)],
  );
  return parts.length === 0 ? 'no pairs' : parts.join(' and ');
}

/** Formats a ratio minus one as an increase in percent: 0.19 is +19%, -0.041 is -4.1%. */
export function increaseOf(value: number): string {
  const percent = Math.abs(value) < 0.1 ? Math.round(value * 1000) / 10 : Math.round(value * 100);
  return `${percent > 0 ? '+' : ''}${percent === 0 ? 0 : percent}%`;
}

/**
 * The result of a gate from pairs, for example "p95 passes: increase at most +19%, from 310 paired probes (no live
 * traffic needed)"; for an undecided gate, the message gives the estimate and its bounds in brackets.
 */
export function pairedWords(gate: string, paired: PairedResult): string {
  const { verdict, estimate, lower, upper } = paired;
  const pairs = pairsOf(paired);
  if (verdict === 'Pass' && upper !== null)
    return `${gate} passes: increase at most ${increaseOf(upper)}, from ${pairs} (no live traffic needed)`;
  if (verdict === 'Fail' && lower !== null)
    return `${gate} fails: increase at least ${increaseOf(lower)}, from ${pairs} (no live traffic needed)`;
  if (estimate === null) return `${pairs}: too few for a verdict`;
  const [low, high] = [lower, upper].map((bound) => (bound === null ? 'unknown' : increaseOf(bound)));
  return `${gate} undecided from ${pairs}: ${increaseOf(estimate)} (${low} to ${high})`;
}
