/**
 * Runs the checks before traffic for a model's candidates.
 *
 * Terms: An attempt is one try of a candidate; each retry begins a new attempt. A golden set is a set of inputs that
 * every pod of a candidate must answer well before it gets traffic; it is copied for each attempt.
 * Owns: which revisions are candidates, which pods of a candidate are checked, and with which stable revision a
 * candidate is compared.
 * Pure.
 */
import { checkBeforeTraffic } from './before-traffic.ts';
import { isReady } from '../../kube/kinds.ts';
import type { Observed, Reports, SeenParts } from '../see/seen.ts';
import { lostForMs } from '../rollout/decisions.ts';
import { candidateOf, stableOf, type Checks, type Millis, type Revision } from '../rollout/state.ts';

/**
 * The result of the checks while the golden set of this attempt is not available. Reports are not used: pods of an
 * earlier attempt may exist, and they report on the golden set of the earlier attempt.
 */
const setAwaited: Checks = {
  verdict: 'Waiting',
  reason: 'GoldenWaiting',
  message: 'the golden set for this attempt is not available yet',
};

type CheckSources = Pick<SeenParts, 'records' | 'held'> & { readonly reports: Reports; readonly now: Millis };

/** Checks the spec's revision and the revision of the current rollout, unless they are stable. */
export function checksOf(seen: Observed, { records, held, reports, now }: CheckSources): SeenParts['checks'] {
  const stable = stableOf(seen.memory);
  const candidates = new Set(
    [candidateOf(seen.memory), seen.rollout.target].filter((revision) => revision !== null && revision !== stable),
  );
  const checks: Record<Revision, Checks> = {};
  for (const revision of candidates) {
    const record = records.get(revision ?? '');
    if (revision === null || record === undefined) continue;
    checks[revision] =
      revision === held?.revision
        ? setAwaited
        : checkBeforeTraffic({
            record,
            pods: readyPods(seen, revision, reports),
            ...stableSide({ seen, records, stable, now }),
          });
  }
  return checks;
}

function readyPods(
  seen: Observed,
  revision: Revision,
  reports: Reports,
): Parameters<typeof checkBeforeTraffic>[0]['pods'] {
  const ready = (seen.pods.get(revision) ?? []).filter(isReady);
  return ready.map(({ metadata: { name, uid } }) => ({ name, report: uid === undefined ? undefined : reports(uid) }));
}

/**
 * When stable loses its last ready pod, it still counts as able to answer during the next `lostForMs`. A candidate is
 * also given up only after `lostForMs` without a ready pod.
 */
function stableSide({
  seen,
  records,
  stable,
  now,
}: Pick<CheckSources, 'records' | 'now'> & { readonly seen: Observed; readonly stable: Revision | null }): Pick<
  Parameters<typeof checkBeforeTraffic>[0],
  'stable'
> {
  if (stable === null) return {};
  const { stableLostAt } = 'stableLostAt' in seen.memory ? seen.memory : {};
  const isAwaited = stableLostAt !== undefined && now - stableLostAt < lostForMs;
  return {
    stable: { record: records.get(stable), canAnswer: isAwaited || (seen.rollout.pods[stable]?.ready ?? 0) > 0 },
  };
}
