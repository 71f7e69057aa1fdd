/**
 * Decides the next move of one model's rollout.
 *
 * Owns:   which fact outweighs which. Nothing else in the operator chooses a phase, a serving revision or a
 *         number of pods.
 * Pure:   time comes in as `now`; the same arguments give the same Decision.
 * Read:   the `rules` table, top to bottom. The first rule that speaks decides; the last of every phase
 *         always speaks. Words are in state.ts.
 */
import type { Decision, Millis, Observation, Phase, Reason, Revision, RevisionPods, RolloutPlan, RolloutState, StateIn } from './state.ts';

type Rule<P extends Phase> = (state: StateIn<P>, seen: Observation, plan: RolloutPlan, now: Millis) => Decision | undefined;
type ClosingRule<P extends Phase> = (...args: Parameters<Rule<P>>) => Decision;

const rules: { readonly [P in Phase]: readonly [...Rule<P>[], ClosingRule<P>] } = {
  New:       [adoptWhatServes, startFirstRevision],
  Preparing: [returnToStable, restartOnNewTarget, promoteWhenReady, giveUpOnFatalTrouble, giveUpWhenLate, waitForCandidate],
  Promoting: [fallBackWhenLost, turnBackOnRevert, settleWhenRouted, waitForRoute],
  Settling:  [fallBackWhenLost, turnBackOnRevert, fallBackWhenTooWeak, finishWhenDrained, waitForDrain],
  Stable:    [startOnNewTarget, stayStable],
  Failed:    [returnToStable, retryOnNewTarget, recoverFirstRevision, stayFailed],
};

/** @param now milliseconds since the epoch, the same clock as `since` in the state */
export function decide(state: RolloutState, seen: Observation, plan: RolloutPlan, now: Millis): Decision {
  return decideIn(state, seen, plan, now);
}

function decideIn<P extends Phase>(state: StateIn<P>, seen: Observation, plan: RolloutPlan, now: Millis): Decision {
  for (const rule of rules[state.phase]) {
    const decision = rule(state, seen, plan, now);
    if (decision !== undefined) return decision;
  }
  throw new Error(`unreachable: ${state.phase} has no closing rule`);
}

// ── New ──────────────────────────────────────────────────────────────────────────────────────────

/** The status was lost (a restored backup): the entry Service still says which revision serves, ready or not. */
function adoptWhatServes(_state: StateIn<'New'>, seen: Observation, plan: RolloutPlan): Decision | undefined {
  const { routed } = seen;
  if (routed === null || !podsOf(seen, routed).deployed) return undefined;
  return settled(routed, seen, plan);
}

function startFirstRevision(_state: StateIn<'New'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision {
  return prepare({ stable: null, candidate: seen.target }, { reason: 'RevisionCreated', message: `preparing ${seen.target}, the first revision` }, { seen, plan, now });
}

// ── Preparing ────────────────────────────────────────────────────────────────────────────────────

function returnToStable(state: StateIn<'Preparing'> | StateIn<'Failed'>, seen: Observation, plan: RolloutPlan): Decision | undefined {
  if (state.stable === null || seen.target !== state.stable) return undefined;
  return { ...settled(state.stable, seen, plan), reason: 'RevisionReverted', message: `the spec is that of ${state.stable} again, which serves` };
}

function restartOnNewTarget(state: StateIn<'Preparing'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (seen.target === state.candidate) return undefined;
  const why = { reason: 'RevisionSuperseded', message: `preparing ${seen.target} instead of ${state.candidate}` } as const;
  return prepare({ stable: state.stable, candidate: seen.target }, why, { seen, plan, now });
}

/**
 * A replacement takes over when it can carry all the traffic: as many ready pods as are asked for. A first
 * revision harms nobody and serves from its first ready pod on.
 */
function promoteWhenReady(state: StateIn<'Preparing'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  const { ready, resolved } = podsOf(seen, state.candidate);
  const needed = state.stable === null ? Math.min(1, plan.replicas) : plan.replicas;
  if (ready < needed || (plan.replicas > 0 && !resolved)) return undefined;
  return promote(state.candidate, state.stable, { seen, plan, now });
}

function giveUpOnFatalTrouble(state: StateIn<'Preparing'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  const { trouble } = podsOf(seen, state.candidate);
  return trouble?.fatal ? giveUp(state, trouble, { seen, plan, now }) : undefined;
}

function giveUpWhenLate(state: StateIn<'Preparing'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (now - state.since < plan.readyWithinMs) return undefined;
  const { trouble, ready } = podsOf(seen, state.candidate);
  const late = `${ready} of ${plan.replicas} pods are ready after ${Math.round(plan.readyWithinMs / 1000)} s`;
  const why = trouble === undefined ? ({ reason: 'ProgressDeadlineExceeded', message: late } as const) : { reason: trouble.reason, message: `${late}: ${trouble.message}` };
  return giveUp(state, why, { seen, plan, now });
}

function waitForCandidate(state: StateIn<'Preparing'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision {
  const { trouble, ready, resolved } = podsOf(seen, state.candidate);
  const progress = `${ready} of ${plan.replicas} pods of ${state.candidate} are ready`;
  return {
    next: state,
    ...childrenWhile(state.stable, state.candidate, seen, plan),
    reason: trouble?.reason ?? (resolved ? 'RevisionWarming' : 'RevisionStarting'),
    message: trouble === undefined ? progress : `${progress}: ${trouble.message}`,
    recheckMs: Math.max(0, state.since + plan.readyWithinMs - now),
  };
}

// ── Promoting, Settling ──────────────────────────────────────────────────────────────────────────

/** The new stable lost every pod while the old one still has some: the old one serves again. */
function fallBackWhenLost(state: StateIn<'Promoting'> | StateIn<'Settling'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  // Scaled to zero, both lose theirs, in any order.
  if (state.retiring === null || plan.replicas === 0) return undefined;
  if (podsOf(seen, state.stable).ready > 0 || podsOf(seen, state.retiring).ready === 0) return undefined;
  const because = podsOf(seen, state.stable).trouble?.message ?? 'it has no ready pod left';
  const why = { reason: 'LateRollback', message: `${state.retiring} serves again: ${because}` } as const;
  return giveUp({ stable: state.retiring, candidate: state.stable }, why, { seen, plan, now });
}

/** The spec went back while the old pods are all there: they serve again at once. */
function turnBackOnRevert(state: StateIn<'Promoting'> | StateIn<'Settling'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (state.retiring === null || seen.target !== state.retiring || podsOf(seen, state.retiring).ready < plan.replicas) return undefined;
  return promote(state.retiring, state.stable, { seen, plan, now });
}

function settleWhenRouted(state: StateIn<'Promoting'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (seen.routed !== state.stable) return undefined;
  if (state.retiring === null) return settled(state.stable, seen, plan);
  const next = { phase: 'Settling', stable: state.stable, retiring: state.retiring, since: now } as const;
  return drain(next, seen, plan, plan.settleMs);
}

function waitForRoute(state: StateIn<'Promoting'>, seen: Observation, plan: RolloutPlan): Decision {
  return { next: state, ...serving(state.stable, state.retiring, seen, plan), reason: 'RouteMoving', message: `the entry Service is to select ${state.stable}`, recheckMs: 1000 };
}

/** Under real traffic the new stable could not keep its pods: whoever has more of them serves. */
function fallBackWhenTooWeak(state: StateIn<'Settling'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (now - state.since < plan.settleMs + plan.readyWithinMs) return undefined;
  const [mine, theirs] = [podsOf(seen, state.stable).ready, podsOf(seen, state.retiring).ready];
  if (mine >= plan.replicas || theirs <= mine) return undefined;
  const why = { reason: 'LateRollback', message: `${state.retiring} serves again: ${mine} of ${plan.replicas} pods stayed ready under traffic` } as const;
  return giveUp({ stable: state.retiring, candidate: state.stable }, why, { seen, plan, now });
}

/** The old pods go once traffic has left them and the new ones can carry it all. */
function finishWhenDrained(state: StateIn<'Settling'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (now - state.since < plan.settleMs || seen.routed !== state.stable) return undefined;
  const enough = podsOf(seen, state.stable).ready >= plan.replicas;
  return enough || now - state.since >= plan.settleMs + plan.readyWithinMs ? settled(state.stable, seen, plan) : undefined;
}

function waitForDrain(state: StateIn<'Settling'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision {
  return drain(state, seen, plan, Math.max(1000, state.since + plan.settleMs - now));
}

// ── Stable, Failed ───────────────────────────────────────────────────────────────────────────────

function startOnNewTarget(state: StateIn<'Stable'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (seen.target === state.stable) return undefined;
  const why = { reason: 'RevisionCreated', message: `preparing ${seen.target}; ${state.stable} serves` } as const;
  return prepare({ stable: state.stable, candidate: seen.target }, why, { seen, plan, now });
}

function stayStable(state: StateIn<'Stable'>, seen: Observation, plan: RolloutPlan): Decision {
  return settled(state.stable, seen, plan);
}

function retryOnNewTarget(state: StateIn<'Failed'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (seen.target === state.rejected) return undefined;
  const why = { reason: 'RevisionCreated', message: `preparing ${seen.target} after ${state.rejected} was given up` } as const;
  return prepare({ stable: state.stable, candidate: seen.target }, why, { seen, plan, now });
}

/** With nothing stable to protect, a first revision goes on trying: its source or image may come back. */
function recoverFirstRevision(state: StateIn<'Failed'>, seen: Observation, plan: RolloutPlan, now: Millis): Decision | undefined {
  if (state.stable !== null) return undefined;
  const { ready, resolved } = podsOf(seen, state.rejected);
  return ready > 0 && resolved ? promote(state.rejected, null, { seen, plan, now }) : undefined;
}

function stayFailed(state: StateIn<'Failed'>, seen: Observation, plan: RolloutPlan): Decision {
  return { next: state, ...childrenWhile(state.stable, state.stable === null ? state.rejected : null, seen, plan), reason: state.cause, message: failureMessage(state.rejected, state.stable, state.detail) };
}

// ── how a decision is put together ───────────────────────────────────────────────────────────────

const nothing: RevisionPods = { ready: 0, deployed: false, resolved: false };

function podsOf(seen: Observation, revision: Revision): RevisionPods {
  return seen.pods[revision] ?? nothing;
}

type Pair = { readonly stable: Revision | null; readonly candidate: Revision };
type Why = { readonly reason: Reason; readonly message: string };
type At = { readonly seen: Observation; readonly plan: RolloutPlan; readonly now: Millis };

function prepare({ stable, candidate }: Pair, why: Why, { seen, plan, now }: At): Decision {
  return { next: { phase: 'Preparing', stable, candidate, since: now }, ...childrenWhile(stable, candidate, seen, plan), ...why, recheckMs: plan.readyWithinMs };
}

function promote(revision: Revision, retiring: Revision | null, { seen, plan, now }: At): Decision {
  const next = { phase: 'Promoting', stable: revision, retiring, since: now } as const;
  return { next, ...serving(revision, retiring, seen, plan), reason: 'Promoted', message: `${revision} is ready and takes over`, recheckMs: 0 };
}

/** Without a stable revision the rejected one keeps its pods: nothing is harmed and it may yet recover. */
function giveUp({ stable, candidate }: Pair, why: Why, { seen, plan, now }: At): Decision {
  const next = { phase: 'Failed', stable, rejected: candidate, cause: why.reason, detail: why.message, since: now } as const;
  const children = childrenWhile(stable, stable === null ? candidate : null, seen, plan);
  return { next, ...children, reason: why.reason, message: failureMessage(candidate, stable, why.message) };
}

function failureMessage(rejected: Revision, stable: Revision | null, detail: string): string {
  return stable === null ? `${rejected} was given up: ${detail}` : `${rejected} was given up, ${stable} serves; change the spec to try again: ${detail}`;
}

function settled(stable: Revision, seen: Observation, plan: RolloutPlan): Decision {
  const { ready, trouble } = podsOf(seen, stable);
  const base = { next: { phase: 'Stable', stable } as const, ...serving(stable, null, seen, plan) };
  if (plan.replicas === 0) return { ...base, reason: 'ScaledToZero', message: 'spec.replicas is 0' };
  const message = `${ready} of ${plan.replicas} pods of ${stable} are ready`;
  if (ready >= plan.replicas) return { ...base, reason: 'UpToDate', message };
  const reason = trouble?.reason ?? (ready === 0 ? 'NoReadyPods' : 'Scaling');
  return { ...base, reason, message: trouble === undefined ? message : `${message}: ${trouble.message}` };
}

function drain(next: StateIn<'Settling'>, seen: Observation, plan: RolloutPlan, recheckMs: Millis): Decision {
  return { next, ...serving(next.stable, next.retiring, seen, plan), reason: 'Draining', message: `${next.stable} serves; ${next.retiring} finishes its requests`, recheckMs };
}

/** `stable` gets the traffic and its pods; `retiring` keeps its pods. */
function serving(stable: Revision, retiring: Revision | null, seen: Observation, plan: RolloutPlan): Pick<Decision, 'serve' | 'run'> {
  const both = retiring === null ? [stable] : [stable, retiring];
  return { serve: stable, run: both.map((revision) => withPods(revision, seen, plan)) };
}

/** Until the first pod of a revision has said what it is made of, there is one: later ones are to serve the same bytes. */
function withPods(revision: Revision, seen: Observation, plan: RolloutPlan): Decision['run'][number] {
  const { resolved, ready } = podsOf(seen, revision);
  return { revision, replicas: resolved || ready > 0 ? plan.replicas : Math.min(1, plan.replicas) };
}

function childrenWhile(stable: Revision | null, candidate: Revision | null, seen: Observation, plan: RolloutPlan): Pick<Decision, 'serve' | 'run'> {
  const both = [stable, candidate].filter((revision) => revision !== null);
  return { serve: stable ?? candidate, run: both.map((revision) => withPods(revision, seen, plan)) };
}
