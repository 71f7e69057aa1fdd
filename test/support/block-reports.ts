/**
 * Reports with blocks, as the sidecars of a revision's pods send them. A block has the requests that a pod counted in
 * 20 s. The same seed gives the same reports.
 */
import { Random } from '../../bench/canary/random.ts';
import type { BlockReport } from '../../operator/analysis/ledger.ts';
import type { BlockCount } from '../../api/report.ts';

export type Shape = {
  readonly first: number;
  readonly blocks: number;
  readonly pods: number;
  /** Average number of requests of a pod in a block. */
  readonly perBlock: number;
  /** Factor on latencies. With the factor 1, a latency is about 20 ms. */
  readonly factor: number;
  readonly failures: number;
  readonly seed: number;
  /** Share of the pod's compared answers that disagree with those of the other revision. */
  readonly disagree?: number;
  /** Average number of requests of a pod in a block, for each size class; replaces perBlock. */
  readonly classes?: readonly (readonly [sizeClass: number, perBlock: number])[];
};

/** One report per pod, with all of its blocks. */
export function reportsOfPods(revision: string, shape: Shape): readonly BlockReport[] {
  const random = new Random(shape.seed, revision.length);
  return Array.from({ length: shape.pods }, (_, pod) => {
    const blocks = Array.from({ length: shape.blocks }, (__, i) => blockOf(random, shape.first + i, shape)).filter(
      (block) => block.traffic.some((row) => row.ok > 0),
    );
    return {
      pod: `${revision}-${pod}`,
      bootId: 'boot',
      revision,
      since: shape.first,
      until: shape.first + shape.blocks - 1,
      blocks,
    };
  });
}

export function blockOf(
  random: Random,
  index: number,
  {
    perBlock,
    factor,
    failures,
    disagree,
    classes = [[64, perBlock]],
  }: Omit<Shape, 'first' | 'blocks' | 'pods' | 'seed'>,
): BlockCount {
  const traffic = classes.map(([sizeClass, mean]) => {
    const counts: Record<string, number> = {};
    const ok = random.poisson(mean);
    for (let i = 0; i < ok; i++) {
      const bucket = Math.ceil(
        Math.log((20 * factor * (sizeClass / 64) * Math.exp(0.5 * random.normal())) / 0.1) / Math.log(1.02),
      );
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    const compared =
      disagree === undefined ? {} : { compared: ok, disagreed: Math.min(ok, random.poisson(ok * disagree)) };
    return {
      tier: 'interactive',
      sizeClass,
      latency: { base: 1e-4, growth: 1.02, counts },
      ok,
      errors: { bug: random.poisson(ok * failures), invalid: 3 },
      ...compared,
    };
  });
  return { index, seq: 2, traffic };
}
