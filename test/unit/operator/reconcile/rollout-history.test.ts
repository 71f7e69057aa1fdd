/** The status records how revisions became stable (their provenance), and the record affects later rollouts. */
import assert from 'node:assert/strict';
import type { OnnxModelStatus, RolloutOutcome } from '../../../../api/onnxmodel.ts';
import { lastKnownOf } from '../../../../operator/rollout/last-words.ts';
import { isExempt } from '../../../../operator/rollout/decisions.ts';
import { promotionReason, provenanceNames, proves, skippedBy } from '../../../../operator/rollout/provenance.ts';

const b = 'bbbbbbbbbb';
const at = '2026-01-01T00:00:00Z';
type Entry = Partial<RolloutOutcome> & Pick<RolloutOutcome, 'outcome'>;
const entry = (more: Entry): RolloutOutcome => ({ revision: b, reason: 'Promoted', at, ...more });
const refused: Entry = { outcome: 'Failed', reason: 'GoldenFailed' };
const p95 = (verdict: 'Pass' | 'Undecided'): NonNullable<RolloutOutcome['gates']> => [{ name: 'p95', verdict }];

type Row = {
  readonly name: string;
  /** The latest entry is first. */ readonly history: readonly Entry[];
  readonly stable?: OnnxModelStatus['stable'];
  readonly is: string | undefined;
  readonly unjudged: boolean;
  readonly pinned: boolean;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'an unknown revision is judged', history: [], is: undefined, unjudged: false, pinned: true },
  { name: 'a revision whose gates passed returns without being judged',
    history: [{ outcome: 'Promoted', provenance: 'GatesPassed' }],
    is: 'GatesPassed', unjudged: true, pinned: true },
  { name: 'a forced revision is judged', history: [{ outcome: 'Promoted', provenance: 'Forced' },
      refused], is: 'Forced', unjudged: false, pinned: true },
  { name: 'a pinned revision is judged', history: [{ outcome: 'Promoted', provenance: 'Pinned' }],
    is: 'Pinned', unjudged: false, pinned: true },
  { name: 'a failed revision cannot be pinned',
    history: [refused, { outcome: 'Promoted', provenance: 'GatesPassed' }],
    is: undefined, unjudged: false, pinned: false },
  { name: 'a superseded rollout does not count',
    history: [{ outcome: 'Superseded', reason: 'RevisionSuperseded' },
      refused], is: undefined, unjudged: false, pinned: false },
  { name: 'a provenance of a later version does not prove the revision',
    history: [{ outcome: 'Promoted', provenance: 'Blessed' }],
    is: 'Unrecorded', unjudged: false, pinned: true },
  { name: 'the status keeps the provenance after the history has dropped the line', history: [],
    stable: { revision: b, provenance: 'GatesPassed' }, is: 'GatesPassed', unjudged: true, pinned: true },
  { name: 'a revision that replaces a failed stable is not proven', history: [refused],
    stable: { revision: b, provenance: 'StoodIn' }, is: 'StoodIn', unjudged: false, pinned: true },
  // Operators up to 0.1.0 did not write the provenance.
  { name: 'the provenance of an old promotion is unknown', history: [{ outcome: 'Promoted' }],
    stable: { revision: b }, is: 'Unrecorded', unjudged: false, pinned: true },
  { name: 'an old promotion whose gates all passed is proven',
    history: [{ outcome: 'Promoted', gates: p95('Pass') }], is: 'GatesPassed', unjudged: true, pinned: true },
  { name: 'an old promotion with an undecided gate is not proven',
    history: [{ outcome: 'Promoted', gates: p95('Undecided') }], is: 'Unrecorded', unjudged: false, pinned: true },
];

describe('the last known outcome of a revision', () => {
  for (const { name, history, stable, is, unjudged, pinned } of rows) {
    it(name, () => {
      const seen = lastKnownOf({ history: history.map(entry), ...(stable === undefined ? {} : { stable }) });
      assert.equal(seen.provenance[b], is);
      assert.equal(isExempt(b, { seen, plan: {} }), unjudged);
      assert.equal(isExempt(b, { seen, plan: { pinRevision: b } }), pinned);
    });
  }

  it('proves a revision only by checks, and has a reason and a message for every other provenance', () => {
    assert.deepEqual(provenanceNames.filter(proves), ['GatesPassed', 'First', 'Returned']);
    for (const name of provenanceNames) {
      assert.equal(skippedBy(name) === undefined, proves(name), name);
      assert.equal(
        promotionReason(name),
        proves(name) || ['StoodIn', 'Adopted', 'Unrecorded'].includes(name) ? 'Promoted' : name,
      );
    }
  });
});
