/**
 * Whether golden inputs are asked of both revisions in a window, and how often.
 *
 * Owns:  the rule of spec.rollout.probes. How often a pod really asks, and how much of a pod's time that may take, is
 *        the sidecar's to keep (runtime/sidecar/replay/prober.ts).
 * Pure.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { blockSeconds, type BlockTraffic } from '../../api/report.ts';
import type { Ledger } from '../analysis/ledger.ts';
import type { Block, Revision } from '../rollout/state.ts';

type ProbesSpec = NonNullable<NonNullable<OnnxModelSpec['rollout']>['probes']>;

/**
 * Requests a minute of the model below which mode Auto probes: with that many, half of them to the candidate, live
 * latencies show about what probes do in the half hour of a step; with fewer they do not (docs/canary-analysis.md,
 * Paired evidence).
 */
export const autoBelowPerMinute = 200;
/** Traffic is looked at over ten minutes: one quiet minute is no quiet service. */
const lookedAtBlocks = 30;

function answeredIn(traffic: readonly BlockTraffic[]): number {
  return traffic.reduce((sum, { ok }) => sum + ok, 0);
}

/** @returns probes a minute; undefined for none */
export function probesWanted(spec: ProbesSpec | undefined, stablePerMinute: number): number | undefined {
  const { mode, perMinute } = { ...rolloutDefaults.probes, ...spec };
  return mode === 'Always' || (mode === 'Auto' && stablePerMinute < autoBelowPerMinute) ? perMinute : undefined;
}

/**
 * Requests a minute of both revisions in the ten minutes before a window and in it: what the model gets, wherever it
 * goes. Only whole blocks before `until` count; 0 where nothing is known.
 */
export function requestsPerMinute(
  ledger: Ledger,
  revisions: readonly Revision[],
  { window, until }: { readonly window: Block; readonly until: Block },
): number {
  const from = window - lookedAtBlocks;
  let requests = 0;
  let first = until;
  for (const boot of Object.values(ledger)) {
    if (!revisions.includes(boot.revision)) continue;
    first = Math.min(first, ...boot.heard.map(([since]) => Math.max(since, from)));
    const inside = Object.values(boot.blocks).filter(({ index }) => index >= from && index < until);
    requests += inside.reduce((sum, { traffic }) => sum + answeredIn(traffic), 0);
  }
  return until > first ? (requests * 60) / (blockSeconds * (until - first)) : 0;
}
