/** What a status says of how its revisions became stable, and what follows from it. */
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
  /** Latest first. */ readonly history: readonly Entry[];
  readonly stable?: OnnxModelStatus['stable'];
  readonly is: string | undefined;
  readonly unjudged: boolean;
  readonly pinned: boolean;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'one that nothing is known of is judged', history: [], is: undefined, unjudged: false, pinned: true },
  { name: 'one whose gates passed comes back unjudged', history: [{ outcome: 'Promoted', provenance: 'GatesPassed' }],
    is: 'GatesPassed', unjudged: true, pinned: true },
  { name: 'one that was forced is judged', history: [{ outcome: 'Promoted', provenance: 'Forced' },
      refused], is: 'Forced', unjudged: false, pinned: true },
  { name: 'one that was pinned is judged', history: [{ outcome: 'Promoted', provenance: 'Pinned' }],
    is: 'Pinned', unjudged: false, pinned: true },
  { name: 'one that was given up is not served by a pin',
    history: [refused, { outcome: 'Promoted', provenance: 'GatesPassed' }],
    is: undefined, unjudged: false, pinned: false },
  { name: 'a rollout that was superseded says nothing of it',
    history: [{ outcome: 'Superseded', reason: 'RevisionSuperseded' },
      refused], is: undefined, unjudged: false, pinned: false },
  { name: 'a word of a later version proves nothing', history: [{ outcome: 'Promoted', provenance: 'Blessed' }],
    is: 'Unrecorded', unjudged: false, pinned: true },
  { name: 'the status keeps what the history has forgotten', history: [],
    stable: { revision: b, provenance: 'GatesPassed' }, is: 'GatesPassed', unjudged: true, pinned: true },
  { name: 'one that stands in for another is stable and not proven', history: [refused],
    stable: { revision: b, provenance: 'StoodIn' }, is: 'StoodIn', unjudged: false, pinned: true },
  // An operator up to 0.1.0 wrote no provenance.
  { name: 'of an old promotion it is not known how it came', history: [{ outcome: 'Promoted' }],
    stable: { revision: b }, is: 'Unrecorded', unjudged: false, pinned: true },
  { name: 'an old promotion with gates that all passed is proven',
    history: [{ outcome: 'Promoted', gates: p95('Pass') }], is: 'GatesPassed', unjudged: true, pinned: true },
  { name: 'an old promotion with a gate that was open is not',
    history: [{ outcome: 'Promoted', gates: p95('Undecided') }], is: 'Unrecorded', unjudged: false, pinned: true },
];

describe('what is known last of a revision', () => {
  for (const { name, history, stable, is, unjudged, pinned } of rows) {
    it(name, () => {
      const seen = lastKnownOf({ history: history.map(entry), ...(stable === undefined ? {} : { stable }) });
      assert.equal(seen.provenance[b], is);
      assert.equal(isExempt(b, { seen, plan: {} }), unjudged);
      assert.equal(isExempt(b, { seen, plan: { pinRevision: b } }), pinned);
    });
  }

  it('proves a revision by what was checked only, and has words and a reason of its own for everything else', () => {
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
