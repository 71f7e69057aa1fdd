/**
 * Ranks guides by the similarity between a question and the guide's piece that is nearest to it.
 * Owns: the measure of similarity, which is the cosine. For vectors of length 1 it is the dot product. Compare guides
 * by their rank, because the value of a cosine alone has no meaning (docs/models.md).
 * Pure.
 */
import type { Guide, GuideSet } from '../models/guides.ts';

export type Hit = {
  readonly guide: Guide;
  readonly cosine: number;
  /** The text of the guide's nearest piece. */ readonly text: string;
};

/** @returns the `count` best guides, best first */
export function rankGuides(set: GuideSet, question: Float32Array, count: number): readonly Hit[] {
  const best = new Map<number, { cosine: number; text: string }>();
  set.pieces.forEach(({ guide, text }, index) => {
    const cosine = dot(set.vectors.subarray(index * set.width, (index + 1) * set.width), question);
    const known = best.get(guide);
    if (known === undefined || cosine > known.cosine) best.set(guide, { cosine, text });
  });
  const hits = [...best].flatMap(([index, nearest]) => {
    const guide = set.guides[index];
    return guide === undefined ? [] : [{ guide, ...nearest }];
  });
  return hits.sort((a, b) => b.cosine - a.cosine).slice(0, count);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}
