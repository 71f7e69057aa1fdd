import assert from 'node:assert/strict';
import type { GuideSet } from '../../../../examples/models/guides.ts';
import { rankGuides } from '../../../../examples/search/rank.ts';

const guide = (id: string) => ({ id, category: 'c', description: id });
const set: GuideSet = {
  guides: [guide('north'), guide('east'), guide('south')],
  pieces: [
    { guide: 0, text: 'n' },
    { guide: 1, text: 'e' },
    { guide: 2, text: 's' },
    { guide: 1, text: 'north-east' },
  ],
  vectors: Float32Array.of(0, 1, 1, 0, 0, -1, 0.6, 0.8),
  width: 2,
};

describe('rankGuides', () => {
  it('ranks a guide by its nearest piece', () => {
    const hits = rankGuides(set, Float32Array.of(0.6, 0.8), 3);
    assert.deepEqual(
      hits.map(({ guide: { id }, text }) => `${id} ${text}`),
      ['east north-east', 'north n', 'south s'],
    );
    assert.ok(Math.abs(hits[0]!.cosine - 1) < 1e-6);
  });

  it('returns the requested number of guides', () => assert.equal(rankGuides(set, Float32Array.of(1, 0), 1).length, 1));
});
