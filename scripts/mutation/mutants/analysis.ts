/** Mutants of the judge and of what gates say (operator/analysis, operator/gates). */
import { group } from '../mutant.ts';

const judging = ['test/unit/operator/analysis/*.test.ts'];
const gates = ['test/unit/operator/gates/*.test.ts', 'test/unit/operator/golden-set.test.ts'];

export const analysisMutants = [
  ...group(judging, [
    { name: 'a failed gate does not fail the step', of: 'stepVerdict', from: "gate.verdict === 'Fail'", to: "gate.verdict === 'Pass'" },
    { name: 'minRequests of stable are not asked for', of: 'stepVerdict', from: 'alone ? Infinity : total(cells.stable, requestsOf)', to: 'Infinity' },
    { name: 'minRequests of the candidate are not asked for', of: 'stepVerdict', from: 'Math.min(total(cells.candidate, requestsOf), ', to: 'Math.min(Infinity, ' },
    { name: 'a step ends before three whole blocks', of: 'stepVerdict', from: '.known - 1 < tuning.minBlocks', to: '.known < 0' },
    { name: 'Pass is done when one gate passes', of: 'stepVerdict', from: 'gates.every(', to: 'gates.some(' },
    { name: 'latencies under unequal load are compared', of: 'stepVerdict', within: 'decisionOf', from: '!loadIsEqual', to: 'loadIsEqual && false' },
    { name: 'an error rate over the limit passes', of: 'RateJudgement', within: 'holds', from: "rate > limit ? 'Fail' : 'Pass'", to: "rate < limit ? 'Fail' : 'Pass'" },
    { name: 'a rate is decided without evidence', of: 'RateJudgement', within: 'holds', from: 'if (evidence < bound) return undefined;', to: '' },
    { name: 'a rate is decided on a handful of requests', of: 'RateJudgement', within: 'settle', from: 'frame.candidate.n >= tuning.hardMinRequests && ', to: '' },
    { name: 'one burst of errors decides', of: 'RateJudgement', within: 'settle', from: " && holds(frame, cleaned.view) === verdict", to: '' },
    { name: 'a latency below the limit fails', of: 'LatencyJudgement', within: 'holds', from: "over > 0 ? 'lower' : 'upper'", to: "over < 0 ? 'lower' : 'upper'" },
    { name: 'a latency is decided inside its bounds', of: 'LatencyJudgement', within: 'holds', from: 'if (width * width >= room) return undefined;', to: '' },
    { name: 'one stall decides over a latency', of: 'LatencyJudgement', within: 'confirmed', from: "holds(asked, cleaned.view) === 'Fail'", to: "holds(asked, viewOf(frame)) === 'Fail'" },
    { name: 'a tolerance is not granted', of: 'LatencyJudgement', within: 'estimateOf', from: ' - Math.log1p(against.tolerance)', to: '' },
    { name: 'a warm-up is taken for a regression', of: 'settledSince', from: 'while (isFalling(', to: 'while (false && isFalling(' },
    { name: 'alpha is not shared among gates and steps', of: 'planOf', from: 'alpha / Math.max(1, traffic.length * analyzeSteps)', to: 'alpha' },
    { name: 'a late report replaces a newer one', of: 'fold', from: 'before.seq < block.seq', to: 'before.seq > block.seq' },
    { name: 'blocks that nobody has are taken for quiet ones', of: 'lostBlocks', from: 'block < from; block++) lost.add(block)', to: 'block < from; block++) lost.delete(block)' },
    { name: 'blocks of before a window are kept without end', of: 'forgetBefore', from: 'to < block ? []', to: 'to < 0 ? []' },
  ]),
  ...group(['test/unit/api/outcomes.test.ts', ...judging], [
    { name: 'what a client did wrong counts against the candidate', of: 'countsAgainstRevision', from: "fault === 'Revision' || fault === 'Capacity'", to: 'fault !== undefined' },
    { name: 'a full queue does not count against the candidate', of: 'countsAgainstRevision', from: " || fault === 'Capacity'", to: '' },
    { name: 'a short deadline of a client counts against the candidate', of: 'outcomeKindOf', from: 'clientDeadlineMs < ownDeadlineMs', to: 'false' },
    { name: 'a full budget of bodies counts against the candidate', of: 'faults', from: "clientBody: 'Client'", to: "clientBody: 'Capacity'" },
  ]),
  ...group([...gates, ...judging], [
    { name: 'a failed golden set lets a candidate have traffic', of: 'checkBeforeTraffic', within: 'looks', from: ', goldenSet]', to: ']' },
    { name: 'a changed I/O signature lets a candidate have traffic', of: 'checkBeforeTraffic', within: 'looks', from: 'signatureChanged, ', to: '' },
    { name: 'pods that were not heard yet are judged', of: 'Gatekeeper', from: 'if (awaited.length > 0) {', to: 'if (awaited.length < 0) {' },
    { name: 'a silent pod is not told', of: 'Gatekeeper', from: '> silentMs', to: '> Infinity' },
    { name: 'one silent pod of many makes a revision silent', of: 'Gatekeeper', from: 'pods.every(({ metadata', to: 'pods.some(({ metadata' },
    { name: 'the limits of a candidate alone are compared with stable', of: 'find', from: 'known.alone === true ? limitsOf(plan) : plan', to: 'plan' },
    { name: 'a sick stable goes unnoticed', of: 'find', within: 'stableSick', from: "({ verdict }) => verdict === 'Fail'", to: "({ verdict }) => verdict === 'Pass'" },
    { name: 'the ledger is written with every pass', of: 'ModelLedger', from: 'this.#version === this.#keptVersion || ageMs < keepAgainMs', to: 'this.#version === this.#keptVersion' },
    { name: 'the ledger is not written when a pod goes', of: 'ModelLedger', from: '!this.#closed.has(key) && this.#isGone(key, present)', to: 'this.#closed.has(key) && this.#isGone(key, present)' },
  ]),
];
