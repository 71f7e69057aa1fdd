/**
 * How a revision became stable (its provenance), and whether the revision is therefore proven: every check and gate
 * passed.
 *
 * Owns: the table of provenances. A proven revision may come back without being judged; any other revision is judged
 * like a new one.
 * Pure.
 */
import { reasons, type ReasonFrom } from '../../api/reasons.ts';

/**
 * `proves`: whether every check that the spec asks for has passed. `why`: a message about the part that was not
 * checked.
 */
type Row = { readonly proves: boolean; readonly why?: string };

// prettier-ignore
export const provenances = {
  GatesPassed: { proves: true },
  First: { proves: true },
  Returned: { proves: true },
  Forced: { proves: false,
    why: 'remaining checks, steps and gates skipped: spec.rollout.promoteRevision names the revision' },
  Pinned: { proves: false, why: 'checks and gates skipped: spec.rollout.pinRevision names the revision' },
  ResumedUndecided: { proves: false,
    why: 'gates skipped: spec.rollout.resumeStep ended a wait before they had decided' },
  PromotedUndecided: { proves: false,
    why: 'gates skipped: they had not decided, and spec.rollout.onUndecided is Promote' },
  StableLost: { proves: false,
    why: 'gates that compare with stable skipped: stable had no ready pod or exceeded an absolute limit' },
  Asleep: { proves: false, why: 'checks and gates skipped: spec.replicas is 0, so the model has no pods' },
  Woken: { proves: false,
    why: 'gates skipped: it became stable while spec.replicas was 0; its checks passed later' },
  StoodIn: { proves: false, why: 'it was given up, and serves because stable has no ready pod' },
  Adopted: { proves: false, why: 'the status was lost; the entry Service names it as the stable revision' },
  Unrecorded: { proves: false, why: 'it was promoted by an operator version that did not record how' },
} as const satisfies Readonly<Record<string, Row>>;

export type Provenance = keyof typeof provenances;
/** The provenances of an attempt that continued without a verdict of its gates. */
export type Skip = Extract<Provenance, 'ResumedUndecided' | 'PromotedUndecided' | 'StableLost'>;

export const skips: readonly Skip[] = ['ResumedUndecided', 'PromotedUndecided', 'StableLost'];
export const provenanceNames = Object.keys(provenances) as readonly Provenance[];

/** Whether a revision with this provenance may come back without being judged. */
export function proves(provenance: Provenance | undefined): boolean {
  return provenance !== undefined && provenances[provenance].proves;
}

/** @returns a message about the part that was not checked; undefined when nothing was skipped */
export function skippedBy(provenance: Provenance): string | undefined {
  const row: Row = provenances[provenance];
  return row.why;
}

/** The reason of a promotion, for the Event and the history: the provenance if checks were skipped, else Promoted. */
export function promotionReason(provenance: Provenance): ReasonFrom<'promotion'> {
  return Object.hasOwn(reasons, provenance) ? (provenance as ReasonFrom<'promotion'> & Provenance) : 'Promoted';
}

/** Reads a stored provenance; an unknown word is Unrecorded. */
export function readProvenance(word: string): Provenance {
  return provenanceNames.find((name) => name === word) ?? 'Unrecorded';
}
