/**
 * How shares, weights and numbers of pods are related under each kind of router.
 *
 * Terms: A router shares the traffic between two revisions: a Service by pods, an HTTPRoute by weights. The weight is
 * the share that the candidate should get; the share is the part of the traffic that it gets.
 * Owns: the two kinds of sharing. Every router has one of them (api/routers.ts), and rules do not test for a router's
 * name.
 * Pure.
 */
import { routers, type RouterName, type SharingKind } from '../../api/routers.ts';

/**
 * A rollout in which both revisions get traffic. `share`: the candidate's share of the traffic, in percent, 0 to 100.
 * `weight`: the candidate's weight, in percent. `ready`: the numbers of ready pods of both revisions.
 */
type Beside = { readonly share: number; readonly weight: number; readonly ready: ReadyPods };
type ReadyPods = { readonly candidate: number; readonly stable: number };

export type Sharing = {
  /** True: a weight can be reached with any number of pods. False: the numbers of ready pods determine the share. */
  readonly isByWeight: boolean;
  /** Whether the traffic matches the weight. */
  readonly isTaken: (beside: Beside) => boolean;
  /**
   * Whether the share is close enough to the weight, whatever the numbers of pods are. With ByPods, every share above 0
   * is close enough.
   */
  readonly isNear: (share: number, weight: number) => boolean;
  /** Whether the share is more than the weight that was reached. */
  readonly isAbove: (share: number, reached: number) => boolean;
  /**
   * Whether a revision has all the traffic when the entry Service selects only that revision.
   * @param share the revision's share in percent; undefined if it is unknown
   */
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
    // At every weight, the ready pods of both revisions get traffic. Therefore only a share of 100 % counts as more
    // than the weight that was reached.
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
