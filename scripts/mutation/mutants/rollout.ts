/** Mutants of the decision: rules, steps, replicas (operator/rollout). */
import { group } from '../mutant.ts';

/** The tables first: a property that fails looks for the smallest example, which takes its time. */
const tables = ['test/unit/operator/rollout/[b-z]*.test.ts', 'test/unit/operator/rollout/any-events.test.ts'];

const rules = group(tables, [
  // ── what outweighs progress ──
  { name: 'a candidate whose spec was replaced goes on', of: 'abortWhenSuperseded', from: 'if (seen.target === state.candidate) return undefined;', to: 'return undefined;' },
  { name: 'a spec that is stable again counts as superseded', of: 'abortWhenSuperseded', from: 'seen.target === state.stable;', to: 'seen.target !== state.stable;' },
  { name: 'a request to abort is not heard', of: 'abortOnRequest', from: 'plan.abortRevision !== state.candidate', to: 'plan.abortRevision !== state.stable' },
  { name: 'a request to promote is followed during a fight over the weights', of: 'promoteOnRequest', from: ' || isFought(state)', to: '' },
  { name: 'a lost candidate is given up at once', of: 'withdrawWhenLost', from: 'now - lostAt >= lostForMs', to: 'now - lostAt >= 0' },
  { name: 'a lost candidate is never given up', of: 'withdrawWhenLost', from: 'now - lostAt >= lostForMs', to: 'now - lostAt < 0' },
  { name: 'a candidate is given up when stable is lost as well', of: 'withdrawWhenLost', from: 'podsOf(seen, state.stable).ready === 0', to: 'podsOf(seen, state.stable).ready < 0' },
  { name: 'a failed check under way is ignored', of: 'abortOnFailedChecks', from: "checks?.verdict !== 'Fail' || ", to: "checks?.verdict !== 'Pass' || " },
  { name: 'two foreign changes of the weights are taken for a fight', of: 'pauseOnConflict', from: '< revertLimit', to: '< revertLimit - 1' },
  { name: 'a failed gate does not take a candidate back', of: 'abortOnFailedGate', from: "reading.step === 'Fail' ?", to: "reading.step === 'Done' ?" },
  { name: 'a candidate beside a sick stable may break its own limits', of: 'abortOnFailedGate', within: 'judgeAlone', from: "reading.absolute === 'Fail'", to: "reading.absolute === 'None'" },
  { name: 'a model without pods goes on with its rollout', of: 'sleepWhenScaledToZero', from: 'plan.replicas === 0 ?', to: 'plan.replicas < 0 ?' },
  { name: 'the clock of a held rollout goes on', of: 'holdWhilePaused', from: 'state.since + now - heldAt', to: 'state.since' },
  { name: 'a reading of another window decides', of: 'readingOf', from: 'seen.gates?.window === state.window', to: 'seen.gates !== undefined' },
  // ── stable in trouble ──
  { name: 'a candidate is promoted when stable is away for a moment', of: 'carryForStable', from: 'if (leftMs > 0) {', to: 'if (leftMs > 1e12) {' },
  { name: 'a pause that waits for a person ends when stable is away', of: 'carryForStable', within: 'mayGoOn', from: "(state.phase !== 'Paused' || state.why === 'StableUnhealthy')", to: 'true' },
  { name: 'a hold by hand ends when stable is away', of: 'carryForStable', within: 'mayGoOn', from: '!paused && state.heldAt === undefined && ', to: '' },
  { name: 'an approval is passed by on the way', of: 'carryForStable', within: 'hurry', from: "index >= state.step && kind === 'pause'", to: "index < 0 && kind === 'pause'" },
  { name: 'what was counted while stable was away is compared', of: 'carryForStable', within: 'returnToWeight', from: 'window: windowFrom(state.window, at.now)', to: 'window: state.window' },
  // ── weights ──
  { name: 'a weight that traffic has not taken counts as taken', of: 'moveWeight', from: ' || !hasTaken(state, carried, at)', to: '' },
  { name: 'a weight is reached without the pods that it needs', of: 'reachWhenVerified', from: ' || !hasPodsFor(state, at)', to: '' },
  { name: 'a weight is reached before traffic has taken it', of: 'reachWhenVerified', from: ' || !hasTaken(state, state.weight, at)', to: '' },
  { name: 'a share that is off by a percent counts as the weight', of: 'hasTaken', from: '< 0.5', to: '< 1.5' },
  { name: 'a weight that is never taken is waited for without end', of: 'abortWhenLate', from: 'now - state.since < plan.readyWithinMs', to: 'now - state.since < Infinity' },
  { name: 'a candidate without ready pods keeps its traffic', of: 'trafficFor', from: 'podsOf(seen, candidate).ready === 0', to: 'podsOf(seen, candidate).ready < 0' },
  { name: 'stable without ready pods keeps the traffic', of: 'trafficFor', from: 'podsOf(seen, stable).ready === 0 || ', to: '' },
  { name: 'a step that asks for the weight that is reached is taken again', of: 'enterStep', within: 'asksForReachedWeight', from: 'step.weight <= weight', to: 'step.weight < weight' },
  { name: 'a new weight is judged by the blocks of the old one', of: 'reach', from: 'firstWholeBlockAfter(at.now)', to: 'reachedBy(state).window' },
  { name: 'the weight is set anew after the wrong step', of: 'setAnew', within: 'stepOfWeight', from: 'findLastIndex', to: 'findIndex' },
  // ── pauses ──
  { name: 'a pause ends before its time', of: 'resumeWhenOver', within: 'ends', from: 'at.now - state.since >= step.durationMs', to: 'at.now >= state.since' },
  { name: 'a pause without a duration ends by itself', of: 'resumeWhenOver', within: 'ends', from: 'step.durationMs !== undefined && at.now - state.since >= step.durationMs', to: 'at.now - state.since >= (step.durationMs ?? 0)' },
  { name: 'an approval of another step ends a pause', of: 'resumeOnRequest', from: '!== `${state.candidate}/${state.step}`', to: '=== undefined' },
  { name: 'an undecided rollout is promoted where the spec says to take it back', of: 'resumeWhenOver', within: 'ends', from: "at.plan.onUndecided === 'Rollback'", to: "at.plan.onUndecided === 'Promote'" },
  { name: 'a rollout goes on although its pods do not report', of: 'resumeWhenOver', within: 'ends', from: '?.silent.length === 0 ?', to: '?.silent.length !== 0 ?' },
  // ── before traffic ──
  { name: 'a candidate gets traffic before its checks have passed', of: 'beginWhenReady', from: ' || !checksDone(state, at)', to: '' },
  { name: 'a candidate gets traffic before it is known what it is made of', of: 'beginWhenReady', from: '(plan.replicas > 0 && !resolved) || ', to: '' },
  { name: 'a candidate begins with too few pods', of: 'beginWhenReady', from: 'ready < podsNeeded(state, at)', to: 'ready < 1' },
  { name: 'a failed check before traffic is ignored', of: 'giveUpOnFailedChecks', from: "checks?.verdict !== 'Fail' || ", to: "checks?.verdict !== 'Pass' || " },
  { name: 'trouble of an earlier attempt ends a new one', of: 'giveUpOnFatalTrouble', from: 'trouble?.fatal && !isOld', to: 'trouble?.fatal' },
  { name: 'a candidate that never gets ready is waited for without end', of: 'giveUpWhenLate', from: 'now - state.since < plan.readyWithinMs', to: 'now - state.since < Infinity' },
  // ── after promotion ──
  { name: 'the new stable falls back at the first lost pod', of: 'fallBackWhenLost', from: 'trouble?.fatal !== true && now - since < lostForMs', to: 'trouble?.fatal !== true && now - since < 0' },
  { name: 'a promotion is over before the route has moved', of: 'settleWhenRouted', from: 'if (!hasAll(state.stable, seen, plan)) return undefined;', to: '' },
  { name: 'old pods go before their time is over', of: 'finishWhenDrained', from: 'now - state.since < settlingMs(plan) || ', to: '' },
  { name: 'old pods go before the new ones can carry the traffic', of: 'finishWhenDrained', from: 'ready >= plan.replicas', to: 'ready >= 0' },
  { name: 'a revision that serves with fewer pods than the old one stays', of: 'fallBackWhenTooWeak', from: 'theirs <= mine', to: 'theirs >= mine' },
  // ── at rest ──
  { name: 'a rollback is over while the refused revision has traffic', of: 'leaveWhenWeightIsGone', from: '!hasNoTraffic(rejected, seen) || ', to: '' },
  { name: 'a refused revision is tried again without end', of: 'retryOnRequest', from: 'retryToken !== state.handledRetryToken', to: 'retryToken !== undefined' },
  { name: 'a lost status is adopted from a revision that is not there', of: 'adoptWhatServes', from: ' && podsOf(seen, revision).deployed', to: '' },
  { name: 'a new spec at rest begins no rollout', of: 'startOnNewTarget', from: 'seen.target === state.stable', to: "seen.target !== ''" },
  // ── pods ──
  { name: 'stable keeps fewer pods than its share of the traffic needs', of: 'splitBetween', from: 'Math.max(needed, stableBeside(candidate, fleet))', to: 'stableBeside(candidate, fleet) - 1' },
  { name: 'a weight moves further than the ready pods carry', of: 'carriedWeight', from: 'if (ready >= enough) return asked;', to: 'if (ready >= 1) return asked;' },
  { name: 'an autoscaler takes pods from a rollout', of: 'fleetOf', from: 'Math.max(replicas, floor)', to: 'replicas' },
  { name: 'a refused revision keeps its pods without end', of: 'failed', from: 'now - since < plan.retainMs ?', to: 'now - since < Infinity ?' },
]);

const proofs = group(['test/unit/operator/rollout-history.test.ts', ...tables], [
  { name: 'a forced promotion proves a revision', of: 'provenances', from: 'Forced: { proves: false', to: 'Forced: { proves: true' },
  { name: 'a pinned promotion proves a revision', of: 'provenances', from: 'Pinned: { proves: false', to: 'Pinned: { proves: true' },
  { name: 'a promotion without stable proves a revision', of: 'provenances', from: 'StableLost: { proves: false', to: 'StableLost: { proves: true' },
  { name: 'a pin exempts a revision that was given up', of: 'isExempt', from: ' && seen.refused?.includes(revision) !== true', to: '' },
  { name: 'a later refusal is forgotten', of: 'lastWordsOf', home: 'operator/', from: "else if (entry.outcome !== 'Superseded') last.set(entry.revision, 'Refused');", to: '' },
  { name: 'an old promotion with an open gate is proven', of: 'lastWordsOf', home: 'operator/', within: 'provenanceIn', from: 'gates.every(', to: 'gates.some(' },
  { name: 'a word of a later version proves a revision', of: 'readProvenance', from: "?? 'Unrecorded'", to: "?? 'GatesPassed'" },
]);

export const rolloutMutants = [...rules, ...proofs];
