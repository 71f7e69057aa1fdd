/** Which rows (texts as token ids) of a request run together as one piece. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { planPieces, type PieceLimits } from '../../../../../runtime/tasks/embedding/pieces.ts';

const limits: PieceLimits = { maxRows: 4, maxTokens: 100, canPad: true };

type Row = {
  name: string;
  lengths: readonly number[];
  limits?: Partial<PieceLimits>;
  want: readonly { rows: readonly number[]; length: number }[];
};

// prettier-ignore
const rows: Row[] = [
  { name: 'plans nothing for no rows', lengths: [], want: [] },
  { name: 'groups rows of one length', lengths: [5, 5, 5], want: [{ rows: [0, 1, 2], length: 5 }] },
  { name: 'stops at the batch size', lengths: [5, 5, 5, 5, 5],
    want: [{ rows: [0, 1, 2, 3], length: 5 }, { rows: [4], length: 5 }] },
  { name: 'sorts rows by length', lengths: [20, 3, 20, 3],
    want: [{ rows: [1, 3], length: 3 }, { rows: [0, 2], length: 20 }] },
  // Together, 4 of 40 tokens are padding.
  { name: 'pads by an eighth at most', lengths: [16, 20], want: [{ rows: [0, 1], length: 20 }] },
  { name: 'separates rows when more than an eighth would be padding', lengths: [10, 20],
    want: [{ rows: [0], length: 10 }, { rows: [1], length: 20 }] },
  { name: 'does not pad for a model without a mask', lengths: [16, 20, 20],
    limits: { canPad: false }, want: [{ rows: [0], length: 16 }, { rows: [1, 2], length: 20 }] },
  { name: 'stops at the token limit', lengths: [40, 40, 40],
    want: [{ rows: [0, 1], length: 40 }, { rows: [2], length: 40 }] },
  { name: 'allows a single row to exceed the token limit', lengths: [500], want: [{ rows: [0], length: 500 }] },
];

describe('planPieces', () => {
  for (const { name, lengths, limits: change, want } of rows) {
    it(name, () => assert.deepEqual(planPieces(lengths, { ...limits, ...change }), want));
  }

  it('puts every row into one piece and pads within the limits, for any lengths', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 200 }),
        fc.integer({ min: 1, max: 32 }),
        (lengths, maxRows) => {
          const pieces = planPieces(lengths, { maxRows, maxTokens: 1000, canPad: true });
          assert.deepEqual(
            pieces.flatMap((piece) => piece.rows).toSorted((a, b) => a - b),
            lengths.map((_, row) => row),
          );
          for (const piece of pieces) {
            const tokens = piece.rows.reduce((sum, row) => sum + lengths[row]!, 0);
            assert.equal(piece.length, Math.max(...piece.rows.map((row) => lengths[row]!)));
            assert.ok(piece.rows.length <= maxRows);
            assert.ok(piece.rows.length * piece.length - tokens <= (piece.rows.length * piece.length) / 8);
          }
        },
      ),
    );
  });
});
