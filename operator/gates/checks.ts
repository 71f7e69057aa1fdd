/**
 * Puts the checks before traffic beside what is seen of a candidate's pods.
 *
 * Owns:  which revision is a candidate, which of its pods count, and who its stable is.
 * Pure:  reads what was observed and the latest reports.
 */
import { checkBeforeTraffic } from './before-traffic.ts';
import { isReady } from '../../kube/kinds.ts';
import type { Reports, Seen } from '../see/observe.ts';
import { lostForMs } from '../rollout/decisions.ts';
import { candidateOf, stableOf, type Checks, type Millis, type Revision } from '../rollout/state.ts';

/** Pods of an earlier attempt may be there, and speak of that one's set. */
const setAwaited: Checks = {
  verdict: 'Waiting',
  reason: 'GoldenWaiting',
  message: 'the golden set for this attempt is not available yet',
};

/**
 * The same, with `checks` at the pods of the spec's revision and of the one that a rollout is about, as long as they
 * are not stable.
 * @param held the candidate whose golden set could not be frozen
 */
export function withChecks(seen: Seen, reports: Reports, now: Millis, held?: Revision): Seen {
  const stable = stableOf(seen.memory);
  const candidates = new Set(
    [candidateOf(seen.memory), seen.rollout.target].filter((revision) => revision !== null && revision !== stable),
  );
  const pods = { ...seen.rollout.pods };
  for (const revision of candidates) {
    if (revision === null) continue;
    const [record, facts] = [seen.records.get(revision), pods[revision]];
    if (record === undefined || facts === undefined) continue;
    const checks =
      revision === held
        ? setAwaited
        : checkBeforeTraffic({ record, pods: readyPods(seen, revision, reports), ...stableSide(seen, stable, now) });
    pods[revision] = { ...facts, checks };
  }
  return { ...seen, rollout: { ...seen.rollout, pods } };
}

function readyPods(seen: Seen, revision: Revision, reports: Reports): Parameters<typeof checkBeforeTraffic>[0]['pods'] {
  const ready = (seen.pods.get(revision) ?? []).filter(isReady);
  return ready.map(({ metadata: { name, uid } }) => ({ name, report: uid === undefined ? undefined : reports(uid) }));
}

/** A stable that has had no ready pod for less than a candidate may be without one still counts as able to answer. */
function stableSide(
  seen: Seen,
  stable: Revision | null,
  now: Millis,
): Pick<Parameters<typeof checkBeforeTraffic>[0], 'stable'> {
  if (stable === null) return {};
  const { stableLostAt } = 'stableLostAt' in seen.memory ? seen.memory : {};
  const isAwaited = stableLostAt !== undefined && now - stableLostAt < lostForMs;
  return {
    stable: { record: seen.records.get(stable), canAnswer: isAwaited || (seen.rollout.pods[stable]?.ready ?? 0) > 0 },
  };
}
