/** Mutants of the judge and of what gates say (operator/analysis, operator/gates). */
import { group } from '../mutant.ts';

const judging = ['test/unit/operator/analysis/*.test.ts'];
const gates = ['test/unit/operator/gates/*.test.ts', 'test/unit/operator/golden-set.test.ts'];

export const analysisMutants = [
  ...group(judging, [
    { name: 'a failed gate does not fail the step', of: 'stepVerdict', from: "gate.verdict === 'Fail'", to: "gate.verdict === 'Pass'" },
    { name: 'minRequests of stable are not asked for', of: 'stepVerdict', from: 'alone ? Infinity : total(cells.stable, requestsOf)', to: 'Infinity' },
    { name: 'minRequests of the candidate are not asked for', of: 'stepVerdict', from: 'Math.min(total(cells.candidate, requestsOf), ', to: 'Math.min(Infinity, ' },
    { name: 'a step ends before three whole blocks', of: 'stepVerdict', from: 'span.known < tuning.minBlocks', to: 'span.known < 0' },
    { name: 'a NoFail step ends within a minute', of: 'stepVerdict', within: 'isEarlyStepDone', from: 'known < within(', to: '0 > within(' },
    { name: 'a NoFail step ends though a gate could not fail', of: 'stepVerdict', within: 'isEarlyStepDone', from: " || gates.some(({ early }) => early === 'Blind')", to: '' },
    { name: 'a NoFail step does not wait for its promise', of: 'stepVerdict', within: 'isEarlyStepDone', from: 'return isOver || gates.every', to: 'return true || gates.every' },
    { name: 'minRequests that were written give way', of: 'stepVerdict', within: 'isEarlyStepDone', from: 'plan.isMinRequestsWritten === false && isOver', to: 'isOver' },
    { name: 'a Pass under less load counts', of: 'verdicts', within: 'decisionOf', from: "{ ...decided, verdict: 'Undecided', reason: 'LoadUnequal' }", to: 'decided' },
    { name: 'a cold candidate fails in its first minute', of: 'verdicts', within: 'askedOf', from: 'span.known < Math.min(failBlocks', to: '0 > Math.min(failBlocks' },
    { name: 'a written limit is passed by showing less', of: 'planOf', within: 'toShow', from: 'atMost === undefined || ', to: '' },
    { name: 'a Pass shows less from the start', of: 'planOf', within: 'toShow', from: 'known < first * maxBlocks', to: 'known < 0' },
    { name: 'Pass is done when one gate passes', of: 'stepVerdict', from: 'gates.every(', to: 'gates.some(' },
    { name: 'latencies under unequal load are compared', of: 'verdicts', within: 'decisionOf', from: "|| load === 'Equal'", to: '|| true' },
    { name: 'an error rate over the limit passes', of: 'RateJudgement', within: 'passes', from: 'observed(view) < toShow && ', to: '' },
    { name: 'a rate is decided without evidence', of: 'RateJudgement', within: 'fails', from: ' && evidenceAgainst(view, limit, frame.bounds.Fail) >= frame.bounds.Fail', to: '' },
    { name: 'a rate is decided on a handful of requests', of: 'RateJudgement', within: 'settle', from: 'frame.candidate.n >= tuning.hardMinRequests && ', to: '' },
    { name: 'one burst of errors decides', of: 'RateJudgement', within: 'settle', from: ' && standsIn(frame, said, cleaned.view)', to: '' },
    { name: 'a latency below the limit fails', of: 'passes', within: 'isWithin', from: 'distance <= 0 || ', to: '' },
    { name: 'a latency is decided inside its bounds', of: 'passes', within: 'isWithin', from: 'return width * width < room;', to: 'return true;' },
    { name: 'one stall decides over a latency', of: 'LatencyJudgement', within: 'confirmed', from: 'fails(asked, cleaned.view)', to: 'fails(asked, viewOf(frame))' },
    { name: 'a tolerance is not granted', of: 'limitOf', from: 'Math.log1p(against.tolerance)', to: '0' },
    { name: 'a warm-up is taken for a regression', of: 'settlingOf', from: 'while (trend !== undefined && ', to: 'while (false && trend !== undefined && ' },
    { name: 'a trend that is not seen yet is thought to be none', of: 'settlingOf', from: 'stillToGain: lnStep * ', to: 'stillToGain: 0 * ' },
    { name: 'noise that lasts is not seen', of: 'learnHistory', within: 'lastingVariance', from: 'return tuning.lastingBias * 2', to: 'return 0 * 2' },
    { name: 'a slow node is taken for a slow revision', of: 'podMargin', from: 'return known.deviations ** 2 * inverse * shrunk;', to: 'return 0;' },
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
