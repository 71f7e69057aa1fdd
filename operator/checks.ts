/**
 * Puts the checks before traffic beside what is seen of a candidate's pods.
 *
 * Owns:  which revision is a candidate, which of its pods count, and who its stable is.
 * Pure:  reads what was observed and the latest reports.
 */
import { checkBeforeTraffic } from './gates/before-traffic.ts';
import { isReady } from './kube-objects.ts';
import type { Reports, Seen } from './observe.ts';
import { candidateOf, stableOf, type Checks, type Revision } from './rollout/state.ts';

/** Pods of an earlier attempt may be there, and speak of that one's set. */
const setAwaited: Checks = { verdict: 'Waiting', reason: 'GoldenWaiting', message: 'golden set: that of this attempt cannot be had yet' };

/**
 * The same, with `checks` at the pods of the spec's revision and of the one that a rollout is about, as long as they are not stable.
 * @param held the candidate whose golden set could not be frozen
 */
export function withChecks(seen: Seen, reports: Reports, held?: Revision): Seen {
  const stable = stableOf(seen.memory);
  const candidates = new Set([candidateOf(seen.memory), seen.rollout.target].filter((revision) => revision !== null && revision !== stable));
  const pods = { ...seen.rollout.pods };
  for (const revision of candidates) {
    if (revision === null) continue;
    const [record, facts] = [seen.records.get(revision), pods[revision]];
    if (record === undefined || facts === undefined) continue;
    const checks = revision === held ? setAwaited : checkBeforeTraffic({ record, pods: readyPods(seen, revision, reports), ...stableSide(seen, stable) });
    pods[revision] = { ...facts, checks };
  }
  return { ...seen, rollout: { ...seen.rollout, pods } };
}

function readyPods(seen: Seen, revision: Revision, reports: Reports): Parameters<typeof checkBeforeTraffic>[0]['pods'] {
  const ready = (seen.pods.get(revision) ?? []).filter(isReady);
  return ready.map(({ metadata: { name, uid } }) => ({ name, report: uid === undefined ? undefined : reports(uid) }));
}

function stableSide(seen: Seen, stable: Revision | null): Pick<Parameters<typeof checkBeforeTraffic>[0], 'stable'> {
  return stable === null ? {} : { stable: { record: seen.records.get(stable), ready: seen.rollout.pods[stable]?.ready ?? 0 } };
}
