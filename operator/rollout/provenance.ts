/**
 * How a revision became stable, and whether that proves it.
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
    why: 'spec.rollout.promoteRevision names it, so its remaining checks, steps and gates were skipped' },
  Pinned: { proves: false, why: 'spec.rollout.pinRevision names it, so its checks and gates were skipped' },
  ResumedUndecided: { proves: false, why: 'spec.rollout.resumeStep ended a wait before the gates had decided' },
  PromotedUndecided: { proves: false, why: 'spec.rollout.onUndecided is Promote and the gates had not decided' },
  StableLost: { proves: false,
    why: 'stable had no ready pod or broke its own limits, so the gates that compare with it were skipped' },
  Asleep: { proves: false, why: 'spec.replicas is 0, so no pod could be checked' },
  Woken: { proves: false,
    why:
      'it became stable while spec.replicas was 0; the checks before traffic have passed since, its gates were ' +
        'skipped' },
  StoodIn: { proves: false, why: 'it was given up, and serves because stable has no ready pod' },
  Adopted: { proves: false, why: 'the status was lost; the entry Service names it as the stable revision' },
  Unrecorded: { proves: false, why: 'it was promoted by an operator version that did not record how' },
} as const satisfies Readonly<Record<string, Row>>;

export type Provenance = keyof typeof provenances;
/** The provenances of an attempt that went on without a judgement. */
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

/** The reason of a promotion for the Event and the history. It is the provenance if checks were skipped. */
export function promotionReason(provenance: Provenance): ReasonFrom<'promotion'> {
  return Object.hasOwn(reasons, provenance) ? (provenance as ReasonFrom<'promotion'> & Provenance) : 'Promoted';
}

/** Reads a stored provenance; an unknown word is Unrecorded. */
export function readProvenance(word: string): Provenance {
  return provenanceNames.find((name) => name === word) ?? 'Unrecorded';
}
