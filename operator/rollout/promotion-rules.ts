/**
 * Rules of a revision that has all the traffic and becomes stable: Promoting, Settling.
 *
 * Terms: The retiring (old) revision was stable until the latest promotion and still has pods; its retention is the
 * time for which it keeps them. A revision is proven if it became stable with every check and gate passed.
 * Owns: the rollback while the old revision still has pods, and when these pods may be deleted.
 * Pure.
 */
import { atRest, giveUp, isExempt, lostForMs, makeStable, rollingBack, settled } from './decisions.ts';
import { podsOf, servingOne } from './serving.ts';
import { prepareCandidate } from './preparing-rules.ts';
import type { At, Decision, Millis, Revision, RolloutPlan, StateIn, Trouble } from './state.ts';
import { sharingOf } from './sharing.ts';
import { servesWords } from './words.ts';

type Taking = StateIn<'Promoting'> | StateIn<'Settling'>;

/**
 * If the new stable revision has no ready pod while the old revision has ready pods, the old revision serves again.
 * After `lostForMs` the new revision is given up.
 */
export function fallBackWhenLost(state: Taking, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  const { lostAt, ...rest } = state;
  // When the model is scaled to zero, both revisions lose their pods, in any order.
  if (state.retiring === null || plan.replicas === 0) return undefined;
  const { ready, trouble } = podsOf(seen, state.stable);
  if (ready > 0) return lostAt === undefined ? undefined : takeOverAgain({ ...rest, since: now }, at);
  if (podsOf(seen, state.retiring).ready === 0) return undefined;
  const { because, isFatal } = lossOf(state.stable, trouble);
  const since = lostAt ?? now;
  if (!isFatal && now - since < lostForMs) return standIn({ ...state, lostAt: since }, because, at);
  const why = { reason: 'LateRollback', message: because } as const;
  return giveUp({ stable: state.retiring, candidate: state.stable, attempt: 1 }, why, at);
}

/** Why a revision has no ready pod, and whether waiting is useless. */
function lossOf(
  revision: Revision,
  trouble: Trouble | undefined,
): { readonly because: string; readonly isFatal: boolean } {
  return { because: trouble?.message ?? `${revision} has no ready pod left`, isFatal: trouble?.fatal === true };
}

function takeOverAgain(next: Taking, at: At): Decision {
  return {
    next,
    ...serving(next, at),
    reason: 'RouteMoving',
    message: `${next.stable} has ready pods again`,
    recheckMs: 0,
  };
}

function standIn(next: Taking & { readonly lostAt: Millis }, because: string, at: At): Decision {
  const message = `${next.retiring} serves until ${next.stable} has ready pods again: ${because}`;
  return {
    next,
    ...serving(next, at),
    serve: next.retiring,
    reason: 'CandidateUnavailable',
    message,
    recheckMs: next.lostAt + lostForMs - at.now,
  };
}

function serving(state: Taking, at: At): Pick<Decision, 'serve' | 'run'> {
  const { plan, now } = at;
  const isDrained = state.phase === 'Settling' && state.lostAt === undefined && now - state.since >= plan.settleMs;
  return servingOne(state.stable, { revision: state.retiring, isDrained }, at);
}

/**
 * If the spec goes back to the old revision while all pods of that revision are ready, the old revision is stable again
 * at once. An old revision that is not proven is judged first, because a user may have promoted it after it failed its
 * checks.
 */
export function turnBackOnRevert(state: StateIn<'Promoting'> | StateIn<'Settling'>, at: At): Decision | undefined {
  const { seen, plan } = at;
  if (state.retiring === null || seen.target !== state.retiring || podsOf(seen, state.retiring).ready < plan.replicas)
    return undefined;
  if (plan.promoteRevision !== state.retiring && !isExempt(state.retiring, at)) return undefined;
  return makeStable(state.retiring, state.stable, at);
}

export function settleWhenRouted(state: StateIn<'Promoting'>, at: At): Decision | undefined {
  const { now } = at;
  if (!hasAll(state.stable, at)) return undefined;
  if (state.retiring === null) return settled(state.stable, at);
  return drain({ phase: 'Settling', stable: state.stable, retiring: state.retiring, since: now }, at);
}

/** True when the entry Service selects the revision and, with router HTTPRoute, the route sends all traffic to it. */
function hasAll(stable: string, { seen, plan }: At): boolean {
  return seen.routed === stable && sharingOf(plan).hasAll(seen.traffic?.shares?.[stable]);
}

/**
 * After every change, the shares of a route are unknown for a moment. The reason of the route is reported only if this
 * takes longer than `settleMs`.
 */
export function waitForRoute(state: StateIn<'Promoting'>, at: At): Decision {
  const { seen, plan, now } = at;
  const reason = now - state.since < plan.settleMs ? 'RouteMoving' : (seen.traffic?.reason ?? 'RouteMoving');
  const message =
    seen.routed === state.stable
      ? `waiting until the route sends all traffic to ${state.stable}: ` +
        (seen.traffic?.problem ?? 'it is being updated')
      : `waiting until the entry Service selects ${state.stable}`;
  return { next: state, ...serving(state, at), reason, message, recheckMs: 1000 };
}

/**
 * If the new stable revision cannot keep its pods ready under traffic, the old revision serves again when it has more
 * ready pods.
 */
export function fallBackWhenTooWeak(state: StateIn<'Settling'>, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  if (now - state.since < settlingMs(plan) + plan.readyWithinMs) return undefined;
  const [newReady, oldReady] = [podsOf(seen, state.stable).ready, podsOf(seen, state.retiring).ready];
  if (newReady >= plan.replicas || oldReady <= newReady) return undefined;
  const detail = `only ${newReady} of ${plan.replicas} pods of ${state.stable} stayed ready under traffic`;
  return rollingBack(
    {
      phase: 'Aborting',
      stable: state.retiring,
      rejected: state.stable,
      cause: 'LateRollback',
      detail,
      attempt: 1,
      since: now,
    },
    at,
    'LateRollback',
  );
}

/** When the spec changes again, the next rollout does not wait until the old pods' retention is over. */
export function startWhileRetaining(state: StateIn<'Settling'>, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  if (seen.target === state.stable || now - state.since < plan.settleMs || !hasAll(state.stable, at)) return undefined;
  const why = {
    reason: 'RevisionCreated',
    message: `preparing ${seen.target}; ${servesWords(state.stable, seen)}`,
  } as const;
  return prepareCandidate({ stable: state.stable, candidate: seen.target, attempt: 1 }, why, at);
}

/**
 * Deletes the old pods once traffic has left them, their retention is over, and the new pods can carry all the traffic.
 * The rule waits for the new pods until the progress deadline at the latest.
 */
export function finishWhenDrained(state: StateIn<'Settling'>, at: At): Decision | undefined {
  const { seen, plan, now } = at;
  if (isAsleep(state, at) || now - state.since < settlingMs(plan) || !hasAll(state.stable, at)) return undefined;
  const enough = podsOf(seen, state.stable).ready >= plan.replicas;
  return enough || now - state.since >= settlingMs(plan) + plan.readyWithinMs ? settled(state.stable, at) : undefined;
}

/**
 * True if the model is scaled to zero and the revision became stable only because of that, without being judged. The
 * old revision is kept, so that the new revision can be compared with it later.
 */
function isAsleep({ stable }: StateIn<'Settling'>, { seen, plan }: At): boolean {
  return plan.replicas === 0 && seen.provenance?.[stable] === 'Asleep';
}

export function waitForDrain(state: StateIn<'Settling'>, at: At): Decision {
  return drain(state, at);
}

function drain(next: StateIn<'Settling'>, at: At): Decision {
  const { seen, plan, now } = at;
  const base = { next, ...serving(next, at) };
  if (isAsleep(next, at))
    return {
      ...base,
      reason: 'ScaledToZero',
      message: `spec.replicas is 0; when it is raised, ${next.stable} is compared with ${next.retiring}`,
    };
  const leftMs = next.since + settlingMs(plan) - now;
  if (now - next.since < plan.settleMs || plan.retainMs <= plan.settleMs) {
    const endMs = Math.min(leftMs, next.since + plan.settleMs - now);
    return {
      ...base,
      reason: 'Draining',
      message: `${next.stable} serves; ${next.retiring} finishes its requests`,
      recheckMs: Math.max(1000, endMs),
    };
  }
  const { reason, message } = atRest(next.stable, at);
  const kept = podsOf(seen, next.retiring).present === 0 ? '' : `; ${next.retiring} keeps its pods for a fast rollback`;
  return { ...base, reason, message: `${message}${kept}`, recheckMs: Math.max(1000, leftMs) };
}

function settlingMs(plan: RolloutPlan): Millis {
  return Math.max(plan.settleMs, plan.retainMs);
}

/**
 * Applies when a revision became stable while the model had no pods, and the model has pods again. If the previous
 * revision was kept, the new revision becomes a candidate that is compared with the previous one. Otherwise the new
 * revision is checked as a first revision.
 */
export function wakeUnchecked(state: Taking | StateIn<'Stable'>, at: At): Decision | undefined {
  const { seen, plan } = at;
  if (plan.replicas === 0 || seen.target !== state.stable || seen.provenance?.[state.stable] !== 'Asleep')
    return undefined;
  const retiring = 'retiring' in state ? state.retiring : null;
  const message = `${state.stable} became stable while spec.replicas was 0: its checks run now`;
  return prepareCandidate({ stable: retiring, candidate: state.stable, attempt: 1 }, { reason: 'Waking', message }, at);
}
