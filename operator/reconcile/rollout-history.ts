/**
 * Maintains status.history: one line for each rollout that ended, latest first.
 *
 * Terms: A rollout replaces the serving revision (stable) by another one (the candidate). The weight is the candidate's
 * share of the traffic in percent; a transition is a change of the rollout's phase.
 * Owns: which transition ends a rollout, and with which outcome. A rollback is recorded, with its verdicts, when it is
 * decided and not when the traffic has moved back.
 * Pure.
 */
import { toApiTime } from '../../api/conditions.ts';
import type { OnnxModelStatus, RolloutOutcome } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { DecisionReason } from '../../api/reasons.ts';
import { cut } from '../../api/text.ts';
import {
  candidateOf,
  type Became,
  type Decision,
  type Phase,
  type RolloutState,
  type StateIn,
} from '../rollout/state.ts';

export const historyLimit = 10;
const messageLimit = 1000;

export type Ended = Omit<RolloutOutcome, 'at'>;

export type Telling = {
  /** The status on which the decision was based. */
  readonly before: OnnxModelStatus | undefined;
  readonly now: number;
  /** The verdicts at the end of a rollout that ends in this pass. */
  readonly gates?: RolloutOutcome['gates'];
};

export function historyAfter(
  state: RolloutState,
  decision: Decision,
  { before, now, gates }: Telling,
): readonly RolloutOutcome[] {
  const previous = before?.history ?? [];
  const ended = endedBy(state, decision);
  if (ended === undefined) return previous;
  // Record the actual weight: when pods share the traffic, it can differ from the target.
  const had = ended.weight === undefined ? {} : { weight: before?.rollout?.actualWeight ?? ended.weight };
  return [{ ...ended, ...had, at: toApiTime(now), ...present({ gates }) }, ...previous].slice(0, historyLimit);
}

/** The rollout that a transition ends; undefined when the rollout continues or no rollout was in progress. */
export function endedBy(before: RolloutState, decision: Decision): Ended | undefined {
  const { next } = decision;
  if (next.phase === before.phase) return replacedBy(before, decision);
  return ending[next.phase]?.(next as never, before, decision) ?? replacedBy(before, decision);
}

type Ending = {
  readonly [P in Phase]?: (next: StateIn<P>, before: RolloutState, decision: Decision) => Ended | undefined;
};

const ending: Ending = {
  Promoting: (next, before, { reason, became }) => ({
    revision: next.stable,
    outcome: 'Promoted',
    reason,
    ...present({ provenance: became?.provenance, message: heldAgainst(became) }),
    ...weightOf(before),
  }),
  Aborting: (next, before) => ({
    revision: next.rejected,
    outcome: isReplaced(next.cause) ? 'Superseded' : isUnseen(before) ? 'Failed' : 'RolledBack',
    reason: next.cause,
    message: cut(next.detail, messageLimit),
    ...weightOf(before),
  }),
  // If the phase before was Aborting, the rollout was recorded when it began to abort. The line contains only the cause
  // (`detail`); the message of the status also says what to do.
  Failed: (next, before) =>
    before.phase === 'Aborting'
      ? undefined
      : {
          revision: next.rejected,
          outcome: hadAllTraffic(before) ? 'RolledBack' : 'Failed',
          reason: next.cause,
          message: cut(next.detail, messageLimit),
        },
};

/** The message about a promoted revision: the check that was skipped, or otherwise what its gates have shown. */
function heldAgainst({ skipped, shown }: Partial<Became> = {}): string | undefined {
  const words = skipped ?? shown;
  return words === undefined ? undefined : cut(words, messageLimit);
}

/** The end of a rollout in Preparing whose candidate is replaced by another revision. */
function replacedBy(before: RolloutState, { next, reason }: Decision): Ended | undefined {
  if (before.phase !== 'Preparing' || candidateOf(next) === before.candidate || next.phase === 'Promoting')
    return undefined;
  return { revision: before.candidate, outcome: 'Superseded', reason };
}

function isReplaced(cause: DecisionReason): boolean {
  return cause === 'RevisionSuperseded' || cause === 'RevisionReverted';
}

/**
 * True when the candidate never had traffic. Weights never decrease from step to step, so a candidate with weight 0 had
 * weight 0 in every earlier step.
 */
function isUnseen(before: RolloutState): boolean {
  return (before.phase === 'Analyzing' || before.phase === 'Paused') && before.weight === 0;
}

function hadAllTraffic(before: RolloutState): boolean {
  return before.phase === 'Promoting' || before.phase === 'Settling';
}

function weightOf(before: RolloutState): { readonly weight?: number } {
  if (before.phase === 'Shifting') return { weight: before.set };
  return 'weight' in before ? { weight: before.weight } : {};
}
