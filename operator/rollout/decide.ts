/**
 * Decides the next move of one model's rollout.
 *
 * Terms: A rule is a function of one phase; it returns a decision, or undefined when it does not apply. An intent is a
 * field of spec.rollout that asks for one action; it is spent once it had its effect.
 * Owns: the order of the rules. Only this folder chooses a phase, a serving revision, a weight or a number of pods.
 * Pure: time is passed in as `now`; the same arguments give the same Decision.
 * Read: the `rules` table from top to bottom. The first rule that returns a decision wins; the last rule of every phase
 * always returns one. The types are in state.ts, and the rules are in the files of this folder.
 */
import {
  abortOnFailedChecks,
  abortOnRequest,
  abortWhenLate,
  abortWhenSuperseded,
  endWhenUndecided,
  followChangedSteps,
  goOnWhenDone,
  holdWhilePaused,
  moveWeight,
  pauseOnConflict,
  pauseWhenSilent,
  promoteOnRequest,
  reachWhenVerified,
  resumeOnRequest,
  resumeWhenOver,
  stayPaused,
  waitForEvidence,
  waitForWeight,
  withdrawWhenLost,
} from './canary-rules.ts';
import {
  beginWhenReady,
  giveUpOnFailedChecks,
  giveUpOnFatalTrouble,
  giveUpOnRequest,
  giveUpWhenLate,
  noteStableLoss,
  restartOnNewTarget,
  returnToStable,
  standStill,
  waitForCandidate,
} from './preparing-rules.ts';
import {
  fallBackWhenLost,
  fallBackWhenTooWeak,
  finishWhenDrained,
  settleWhenRouted,
  startWhileRetaining,
  turnBackOnRevert,
  waitForDrain,
  waitForRoute,
  wakeUnchecked,
} from './promotion-rules.ts';
import {
  adoptWhatServes,
  leaveStableBehind,
  leaveWhenWeightIsGone,
  recoverFirstRevision,
  retryOnNewTarget,
  retryOnRequest,
  startFirstRevision,
  startOnNewTarget,
  stayFailed,
  stayStable,
  waitForWeightToGo,
} from './rest-rules.ts';
import { abortOnFailedGate, carryForStable, sleepWhenScaledToZero } from './stable-rules.ts';
import { spentAfter } from './intents.ts';
import type {
  At,
  Decision,
  Millis,
  Observation,
  Phase,
  RolloutPlan,
  RolloutState,
  DecisionRule,
  StateIn,
} from './state.ts';

type ClosingRule<P extends Phase> = (...args: Parameters<DecisionRule<P>>) => Decision;

const rules: { readonly [P in Phase]: readonly [...DecisionRule<P>[], ClosingRule<P>] } = {
  New: [adoptWhatServes, startFirstRevision],
  Preparing: [
    returnToStable,
    restartOnNewTarget,
    giveUpOnRequest,
    giveUpOnFailedChecks,
    giveUpOnFatalTrouble,
    noteStableLoss,
    standStill,
    beginWhenReady,
    giveUpWhenLate,
    waitForCandidate,
  ],
  Shifting: [
    abortWhenSuperseded,
    abortOnRequest,
    withdrawWhenLost,
    promoteOnRequest,
    carryForStable,
    abortOnFailedChecks,
    sleepWhenScaledToZero,
    pauseOnConflict,
    holdWhilePaused,
    followChangedSteps,
    moveWeight,
    reachWhenVerified,
    abortWhenLate,
    waitForWeight,
  ],
  Analyzing: [
    abortWhenSuperseded,
    abortOnRequest,
    withdrawWhenLost,
    promoteOnRequest,
    carryForStable,
    abortOnFailedChecks,
    abortOnFailedGate,
    sleepWhenScaledToZero,
    pauseOnConflict,
    holdWhilePaused,
    followChangedSteps,
    pauseWhenSilent,
    goOnWhenDone,
    endWhenUndecided,
    waitForEvidence,
  ],
  Paused: [
    abortWhenSuperseded,
    abortOnRequest,
    withdrawWhenLost,
    promoteOnRequest,
    carryForStable,
    abortOnFailedChecks,
    abortOnFailedGate,
    sleepWhenScaledToZero,
    pauseOnConflict,
    holdWhilePaused,
    followChangedSteps,
    resumeOnRequest,
    resumeWhenOver,
    stayPaused,
  ],
  Promoting: [wakeUnchecked, fallBackWhenLost, turnBackOnRevert, settleWhenRouted, waitForRoute],
  Settling: [
    wakeUnchecked,
    fallBackWhenLost,
    turnBackOnRevert,
    startWhileRetaining,
    fallBackWhenTooWeak,
    finishWhenDrained,
    waitForDrain,
  ],
  Stable: [wakeUnchecked, startOnNewTarget, stayStable],
  Aborting: [leaveWhenWeightIsGone, leaveStableBehind, waitForWeightToGo],
  Failed: [returnToStable, retryOnNewTarget, retryOnRequest, recoverFirstRevision, stayFailed],
};

/**
 * @param plan the plan without the spent intents (intents.ts, livePlan)
 * @param now milliseconds since the epoch, the same clock as `since` in the state
 */
export function decide(state: RolloutState, seen: Observation, plan: RolloutPlan, now: Millis): Decision {
  const at = { seen, plan, now };
  const first = decideIn(state, at);
  const decision = asleep(state, first, at) ?? first;
  const spent = spentAfter(state, decision, at);
  return Object.keys(spent).length === 0 ? decision : { ...decision, spent };
}

/**
 * A model that is scaled to zero has no pod to wait for: its new revision becomes stable in the same pass, with one
 * status write instead of two.
 */
function asleep(state: RolloutState, { next }: Decision, at: At): Decision | undefined {
  if (at.plan.replicas !== 0 || next.phase !== 'Preparing' || state.phase === 'Preparing') return undefined;
  const decision = decideIn(next, at);
  return decision.next.phase === 'Promoting' ? decision : undefined;
}

function decideIn<P extends Phase>(state: StateIn<P>, at: At): Decision {
  for (const rule of rules[state.phase]) {
    const decision = rule(state, at);
    if (decision !== undefined) return decision;
  }
  throw new Error(`unreachable: ${state.phase} has no closing rule`);
}
