/** Which revision `undo` restores. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import type { OnnxModel, RevisionSpec, RolloutOutcome } from '../../../../api/onnxmodel.ts';
import type { Remembered } from '../../../../cli/cluster/remembered-revisions.ts';
import { previous } from '../../../../cli/commands/undo.ts';
import { given } from '../../../support/given.ts';

const [a, b, c] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'] as const;
const uri = (revision: string): string => `https://models.example.com/${revision}.onnx`;
const remembered = (revision: string, generation: number): Remembered => ({
  revision,
  generation,
  written: { model: { uri: uri(revision) } } as RevisionSpec,
});
const all = [remembered(c, 3), remembered(b, 2), remembered(a, 1)];
const ended = (revision: string, outcome: RolloutOutcome['outcome']): RolloutOutcome => ({
  revision,
  outcome,
  reason: 'Promoted',
  at: '2026-01-01T00:00:00Z',
});

/** A model whose current spec is that of `revision`. @param history latest first */
function modelAt(revision: string, history: readonly RolloutOutcome[]): OnnxModel {
  const model = given.model();
  return { ...model, spec: { model: { uri: uri(revision) } }, status: { history } as NonNullable<OnnxModel['status']> };
}

describe('undo goes back', () => {
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly at: string;
    readonly history: readonly RolloutOutcome[]; readonly to: string }[] = [
    { name: 'to the revision promoted before the current one', at: c,
      history: [ended(c, 'Promoted'), ended(b, 'Promoted')], to: b },
    { name: 'past a revision that was rolled back', at: c,
      history: [ended(c, 'Promoted'), ended(b, 'RolledBack'), ended(a, 'Promoted')], to: a },
    { name: 'from a spec that was never promoted to the stable revision', at: c,
      history: [ended(c, 'Failed'), ended(b, 'Promoted')], to: b },
    { name: 'past a revision that is not remembered', at: c,
      history: [ended(c, 'Promoted'), ended('dddddddddd', 'Promoted'), ended(a, 'Promoted')], to: a },
  ];
  for (const { name, at, history, to } of rows) {
    it(name, () => assert.equal(previous(modelAt(at, history), all).revision, to));
  }

  it('to no revision when no other was promoted', () => {
    assert.throws(
      () => previous(modelAt(c, [ended(c, 'Promoted'), ended(b, 'Failed')]), all),
      (error: unknown) => error instanceof AppError && error.code === 'INTENT_REFUSED' && /--to/.test(error.message),
    );
  });
});
