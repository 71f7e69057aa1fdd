/**
 * What the rules may ask of a router: how shares, weights and pods belong together.
 *
 * Owns:  the two ways to share traffic. A router is of one of them (api/routers.ts); no rule tests for a router's name.
 * Pure.
 */
import { routers, type RouterName, type SharingKind } from '../../api/routers.ts';

/** Two revisions while both get traffic. `share` in percent, 0 to 100; ready pods of each. */
type Beside = { readonly share: number; readonly weight: number; readonly ready: ReadyPods };
type ReadyPods = { readonly candidate: number; readonly stable: number };

export type Sharing = {
  /** A weight is reached whatever the number of pods. False: the numbers of ready pods make the share. */
  readonly isByWeight: boolean;
  /** Whether traffic is shared as the weight asks. */
  readonly isTaken: (beside: Beside) => boolean;
  /** The same without a look at the pods: about where the share is to be. */
  readonly isNear: (share: number, weight: number) => boolean;
  /** Whether a candidate may get more than the weight that was reached. */
  readonly isAbove: (share: number, reached: number) => boolean;
  /** Whether a revision that the entry Service selects alone has all the traffic. @param share undefined: not known */
  readonly hasAll: (share: number | undefined) => boolean;
  /** The part of the traffic, 0 to 1, that a candidate gets under a weight. */
  readonly partOf: (weight: number, ready: ReadyPods) => number;
};

const kinds: Readonly<Record<SharingKind, Sharing>> = {
  ByPods: {
    isByWeight: false,
    isTaken: ({ share, ready: { candidate, stable } }) =>
      share > 0 && Math.abs(share - (100 * candidate) / (candidate + stable)) <= 1,
    isNear: (share) => share > 0,
    // Pods of both get traffic whatever the weight: only a whole share is more.
    isAbove: (share) => share > 99.5,
    hasAll: () => true,
    partOf: (_, { candidate, stable }) => candidate / Math.max(1, candidate + stable),
  },
  ByWeight: {
    isByWeight: true,
    isTaken: ({ share, weight }) => isWeight(share, weight),
    isNear: isWeight,
    isAbove: (share, reached) => share > reached + 0.5,
    hasAll: (share) => share === 100,
    partOf: (weight) => weight / 100,
  },
};

function isWeight(share: number, weight: number): boolean {
  return Math.abs(share - weight) < 0.5;
}

export function sharingOf({ router }: { readonly router: RouterName }): Sharing {
  return kinds[routers[router].shares];
}
