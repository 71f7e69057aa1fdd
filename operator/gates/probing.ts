/**
 * Decides whether probes are sent in a window, and how often.
 *
 * Terms: A probe is a golden input (an input with which a candidate is tested) that is sent to both revisions to
 * compare their service times. A window is the blocks (of 20 seconds) by which a step of the rollout is judged.
 * Owns: the rule of spec.rollout.probes. The sidecar limits the rate of each pod and the share of its time
 * (runtime/sidecar/replay/prober.ts).
 * Pure.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { blockSeconds, type BlockTraffic } from '../../api/report.ts';
import type { Ledger } from '../analysis/ledger.ts';
import type { Block, Revision } from '../rollout/state.ts';

type ProbesSpec = NonNullable<NonNullable<OnnxModelSpec['rollout']>['probes']>;

/**
 * Mode Auto sends probes while the model gets fewer requests per minute than this. At this rate, when the candidate
 * gets half of the requests, live latencies and probes find about the same slowdowns within a step of half an hour
 * (docs/canary-analysis.md, Paired evidence).
 */
export const autoBelowPerMinute = 200;
/** The average of the traffic includes the ten minutes before the window: one quiet minute does not enable probes. */
const lookedAtBlocks = 30;

function answeredIn(traffic: readonly BlockTraffic[]): number {
  return traffic.reduce((sum, { ok }) => sum + ok, 0);
}

/** @returns probes per minute; undefined when probes are off */
export function probesWanted(spec: ProbesSpec | undefined, requestsOfBothPerMinute: number): number | undefined {
  const { mode, perMinute } = { ...rolloutDefaults.probes, ...spec };
  return mode === 'Always' || (mode === 'Auto' && requestsOfBothPerMinute < autoBelowPerMinute) ? perMinute : undefined;
}

/**
 * Successful requests per minute of both revisions together, from ten minutes before the window until `until`. Block
 * `until` does not count, because it is not complete. The result is 0 when there are no reports.
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
