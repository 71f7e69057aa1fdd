/**
 * One line for each rollout that ended, latest first.
 *
 * Owns:  which move ends a rollout, and as what. A rollback is told when it is decided, with the verdicts that it
 *        rests on, not when the traffic has left.
 * Pure.
 */
import { toApiTime } from '../api/conditions.ts';
import type { OnnxModelStatus, RolloutOutcome } from '../api/onnxmodel.ts';
import { present } from '../api/present.ts';
import { cut } from '../api/text.ts';
import { readProvenance } from './rollout/provenance.ts';
import { candidateOf, type Decision, type Observation, type Phase, type Provenance, type Reason, type Revision, type RolloutState, type StateIn } from './rollout/state.ts';

export const historyLimit = 10;
const messageLimit = 1000;

export type Ended = Omit<RolloutOutcome, 'at'>;

export type Telling = {
  /** The status that the decision was made on. */
  readonly before: OnnxModelStatus | undefined;
  readonly now: number;
  /** The verdicts that a rollout which ends now ends on. */
  readonly gates?: RolloutOutcome['gates'];
};

export function historyAfter(state: RolloutState, decision: Decision, { before, now, gates }: Telling): readonly RolloutOutcome[] {
  const previous = before?.history ?? [];
  const ended = endedBy(state, decision);
  return ended === undefined ? previous : [{ ...ended, at: toApiTime(now), ...(gates === undefined ? {} : { gates }) }, ...previous].slice(0, historyLimit);
}

/** What a move ends; undefined when the rollout goes on or none was under way. */
export function endedBy(before: RolloutState, decision: Decision): Ended | undefined {
  const { next } = decision;
  if (next.phase === before.phase) return replacedBy(before, decision);
  return ending[next.phase]?.(next as never, before, decision) ?? replacedBy(before, decision);
}

type Ending = { readonly [P in Phase]?: (next: StateIn<P>, before: RolloutState, decision: Decision) => Ended | undefined };

const ending: Ending = {
  Promoting: (next, before, { reason, became }) => ({
    revision: next.stable,
    outcome: 'Promoted',
    reason,
    ...present({ provenance: became?.provenance, message: became?.skipped === undefined ? undefined : cut(`not checked: ${became.skipped}`, messageLimit) }),
    ...weightOf(before),
  }),
  Aborting: (next, before) => ({
    revision: next.rejected,
    outcome: isReplaced(next.cause) ? 'Superseded' : 'RolledBack',
    reason: next.cause,
    message: cut(next.detail, messageLimit),
    ...weightOf(before),
  }),
  // From Aborting it was told already. What to do now is the status's to say: history has the cause alone.
  Failed: (next, before) =>
    before.phase === 'Aborting' ? undefined : { revision: next.rejected, outcome: hadAllTraffic(before) ? 'RolledBack' : 'Failed', reason: next.cause, message: cut(next.detail, messageLimit) },
};

/** A candidate that comes up when another is wanted. */
function replacedBy(before: RolloutState, { next, reason }: Decision): Ended | undefined {
  if (before.phase !== 'Preparing' || candidateOf(next) === before.candidate || next.phase === 'Promoting') return undefined;
  return { revision: before.candidate, outcome: 'Superseded', reason };
}

function isReplaced(cause: Reason): boolean {
  return cause === 'RevisionSuperseded' || cause === 'RevisionReverted';
}

function hadAllTraffic(before: RolloutState): boolean {
  return before.phase === 'Promoting' || before.phase === 'Settling';
}

function weightOf(before: RolloutState): { readonly weight?: number } {
  if (before.phase === 'Shifting') return { weight: before.set };
  return 'weight' in before ? { weight: before.weight } : {};
}

/**
 * What is known last of each revision, as far as the status goes back. What it does not know of is judged like a new one.
 * A rollout that was superseded says nothing about its revision.
 */
export function lastWordsOf({ history = [], stable }: Pick<OnnxModelStatus, 'history' | 'stable'> = {}): Required<Pick<Observation, 'provenance' | 'refused'>> {
  const last = new Map<Revision, Provenance | 'Refused'>();
  for (const entry of history.toReversed()) {
    if (entry.outcome === 'Promoted') last.set(entry.revision, provenanceIn(entry));
    else if (entry.outcome !== 'Superseded') last.set(entry.revision, 'Refused');
  }
  // The history has an end, and does not tell of a revision that stands in for another.
  if (stable?.provenance !== undefined) last.set(stable.revision, readProvenance(stable.provenance));
  const known = [...last];
  const provenance = Object.fromEntries(known.flatMap(([revision, word]) => (word === 'Refused' ? [] : [[revision, word] as const])));
  return { provenance, refused: known.flatMap(([revision, word]) => (word === 'Refused' ? [revision] : [])) };
}

/**
 * Operators up to 0.1.0 did not record how a revision was promoted. Gates are asked only of a candidate that has passed its
 * checks and was neither forced nor pinned: where all of them passed, it is proven. Of anything else it is not known.
 */
function provenanceIn({ provenance, gates = [] }: RolloutOutcome): Provenance {
  if (provenance !== undefined) return readProvenance(provenance);
  return gates.length > 0 && gates.every(({ verdict }) => verdict === 'Pass') ? 'GatesPassed' : 'Unrecorded';
}
