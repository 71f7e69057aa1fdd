/**
 * Rules of the phases without a rollout under way: New, Stable, Aborting, Failed.
 *
 * Terms: The target is the revision of the current spec, or the pinned one. An attempt is one try of a candidate; each
 * retry begins a new one.
 * Owns: which events start a rollout, and what happens after its end.
 * Pure.
 */
import { becomes, failed, giveUp, lostForMs, makeStable, rollingBack, settled } from './decisions.ts';
import { podsOf } from './serving.ts';
import { prepareCandidate } from './preparing-rules.ts';
import type { At, Decision, Observation, StateIn } from './state.ts';
import { servesWords, wantedWords } from './words.ts';

/** Several changes of the spec within this time become one rollout. */
const debounceMs = 5000;

/**
 * Applies when the status was lost, for example by a restored backup. The entry Service still names the stable
 * revision, even if its pods are not ready. A candidate that may have traffic loses the traffic first; if it is the
 * target, its rollout then restarts.
 */
export function adoptWhatServes(_state: StateIn<'New'>, at: At): Decision | undefined {
  const { seen, now } = at;
  const stable = [seen.marked, seen.routed].find(
    (revision) => revision !== undefined && revision !== null && podsOf(seen, revision).deployed,
  );
  if (stable === undefined || stable === null) return undefined;
  const rejected = Object.keys(seen.pods).find((revision) => revision !== stable && !hasNoTraffic(revision, seen));
  const became = becomes(stable, 'Adopted', at);
  if (rejected === undefined) return { ...settled(stable, at), became };
  const detail = `the status was lost while ${rejected} had a part of the traffic`;
  return {
    ...rollingBack(
      { phase: 'Aborting', stable, rejected, cause: 'RevisionSuperseded', detail, attempt: 1, since: now },
      at,
    ),
    became,
  };
}

export function startFirstRevision(_state: StateIn<'New'>, at: At): Decision {
  const { seen } = at;
  return prepareCandidate(
    { stable: null, candidate: seen.target, attempt: 1 },
    { reason: 'RevisionCreated', message: `preparing ${seen.target}, the first revision` },
    at,
  );
}

export function startOnNewTarget(state: StateIn<'Stable'>, at: At): Decision | undefined {
  const { seen } = at;
  if (seen.target === state.stable) return undefined;
  const why = {
    reason: 'RevisionCreated',
    message: `preparing ${seen.target}; ${servesWords(state.stable, seen)}`,
  } as const;
  return prepareCandidate({ stable: state.stable, candidate: seen.target, attempt: 1 }, why, at);
}

export function stayStable(state: StateIn<'Stable'>, at: At): Decision {
  return settled(state.stable, at);
}

/**
 * The candidate keeps its pods until it has no traffic and its requests have had time to finish. Before that, only
 * `leaveStableBehind` begins another rollout.
 */
export function leaveWhenWeightIsGone(state: StateIn<'Aborting'>, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  const { phase: _, stable, rejected, cause, detail, attempt, since, ...handled } = state;
  if (!hasNoTraffic(rejected, seen) || (podsOf(seen, rejected).ready > 0 && now - since < plan.settleMs))
    return undefined;
  if (seen.target === stable)
    return {
      ...settled(stable, at),
      reason: 'RevisionReverted',
      message: `${wantedWords(stable, plan)}; ${servesWords(stable, seen)}`,
    };
  if (seen.target !== rejected) {
    if (now - since < debounceMs) return undefined;
    return prepareCandidate(
      { stable, candidate: seen.target, attempt: 1 },
      { reason: 'RevisionSuperseded', message: `preparing ${seen.target} instead of ${rejected}` },
      at,
    );
  }
  const cameBack = cause === 'RevisionReverted' || cause === 'RevisionSuperseded';
  if (cameBack)
    return prepareCandidate(
      { stable, candidate: rejected, attempt: attempt + 1 },
      { reason: 'RevisionCreated', message: `${wantedWords(rejected, plan)}: its rollout restarts` },
      at,
    );
  return giveUp({ stable, candidate: rejected, attempt }, { reason: cause, message: detail }, at, handled);
}

/**
 * Applies when stable has no ready pod, the rejected revision serves in place of stable, and the target is a third
 * revision. The rollout of the third revision does not wait for stable, which may never recover.
 */
export function leaveStableBehind(state: StateIn<'Aborting'>, at: At): Decision | undefined {
  const { seen, now } = at;
  const { stable, rejected, since } = state;
  if (seen.target === stable || seen.target === rejected || now - since < lostForMs) return undefined;
  if (podsOf(seen, stable).ready > 0 || podsOf(seen, rejected).ready === 0) return undefined;
  const message = `preparing ${seen.target}; ${rejected} serves because ${stable} has no ready pod`;
  const begun = prepareCandidate(
    { stable: rejected, candidate: seen.target, attempt: 1 },
    { reason: 'RevisionSuperseded', message },
    at,
  );
  return { ...begun, became: becomes(rejected, 'StoodIn', at) };
}

function hasNoTraffic(revision: string, seen: Observation): boolean {
  const shares = seen.traffic?.shares;
  return podsOf(seen, revision).ready === 0 || (shares !== undefined && (shares[revision] ?? 0) === 0);
}

export function waitForWeightToGo(state: StateIn<'Aborting'>, at: At): Decision {
  return rollingBack(state, at);
}

export function retryOnNewTarget(state: StateIn<'Failed'>, at: At): Decision | undefined {
  const { seen } = at;
  if (seen.target === state.rejected) return undefined;
  const why = {
    reason: 'RevisionCreated',
    message: `preparing ${seen.target} after ${state.rejected} was given up`,
  } as const;
  return prepareCandidate({ stable: state.stable, candidate: seen.target, attempt: 1 }, why, at);
}

/**
 * Retries when the retry token differs from the token at the time of the failure, or when promoteRevision names this
 * revision and has not had its effect yet (intents.ts). A token or a promoteRevision that was already obeyed does not
 * count, because otherwise the retries would never end.
 */
export function retryOnRequest(state: StateIn<'Failed'>, at: At): Decision | undefined {
  const { plan } = at;
  const { retryToken, promoteRevision, abortRevision } = plan;
  if (abortRevision === state.rejected) return undefined;
  const isAsked = retryToken !== undefined && retryToken !== state.handledRetryToken;
  if (!isAsked && promoteRevision !== state.rejected) return undefined;
  const why = { reason: 'Retried', message: `retrying ${state.rejected}: attempt ${state.attempt + 1}` } as const;
  return prepareCandidate({ stable: state.stable, candidate: state.rejected, attempt: state.attempt + 1 }, why, at);
}

/**
 * Without a stable revision, a first revision that was given up keeps trying, because its source or image may become
 * available again.
 */
export function recoverFirstRevision(state: StateIn<'Failed'>, at: At): Decision | undefined {
  const { seen, plan } = at;
  if (state.stable !== null || plan.abortRevision === state.rejected) return undefined;
  const { ready, resolved, checks } = podsOf(seen, state.rejected);
  return ready > 0 && resolved && (checks === undefined || checks.verdict === 'Pass')
    ? makeStable(state.rejected, null, at)
    : undefined;
}

export function stayFailed(state: StateIn<'Failed'>, at: At): Decision {
  return failed(state, at);
}
