/**
 * The vocabulary of a rollout: what is remembered, what is seen, what is decided.
 *
 * Owns:   the types and the closed set of reasons; nothing here runs but two readers. Read this first, then
 *         decide.ts.
 * Words:  a *revision* is one immutable configuration of a model. The *stable* revision serves; a *candidate*
 *         is to take over; a *retiring* one served until a moment ago and still has its pods.
 */

/** Ten hex digits: the hash of everything in the spec that changes the pods. */
export type Revision = string;
export type Millis = number;

/** What each phase has to remember. A field that a phase does not need is not there to be wrong. */
export type Memory = {
  /** Nothing was ever served or tried. */
  New: Record<never, never>;
  /** The candidate's pods come up; whoever is stable serves. */
  Preparing: { stable: Revision | null; candidate: Revision; since: Millis };
  /** The candidate is stable now by decision; the entry Service may not follow it yet. */
  Promoting: { stable: Revision; retiring: Revision | null; since: Millis };
  /** Traffic goes to the new stable; the old one's pods finish what they have. */
  Settling: { stable: Revision; retiring: Revision; since: Millis };
  /** One revision, nothing to do. */
  Stable: { stable: Revision };
  /** The candidate was given up. Whoever was stable serves. */
  Failed: { stable: Revision | null; rejected: Revision; cause: Reason; detail: string; since: Millis };
};
export type Phase = keyof Memory;
export type StateIn<P extends Phase> = { readonly phase: P } & Readonly<Memory[P]>;
export type RolloutState = { [P in Phase]: StateIn<P> }[Phase];

/** What is wrong with a pod, or with making one. `fatal`: trying the same again cannot help. */
export type Trouble = { readonly reason: TroubleReason; readonly message: string; readonly fatal: boolean };

/** The pods of one revision, as read in this pass. */
export type RevisionPods = {
  /** Pods that pass their readiness probe and are not going away. */
  readonly ready: number;
  /** Whether there is a Deployment for them. */
  readonly deployed: boolean;
  /** The worst trouble among them. */
  readonly trouble?: Trouble;
  /** Whether the first pod's `prepare` has said which bytes the revision is made of. */
  readonly resolved: boolean;
};

/** The world as read in this pass. Plain data: a test writes one by hand. */
export type Observation = {
  /** Revision of the spec as it is now. */
  readonly target: Revision;
  /** Revision that the entry Service selects; null: there is no entry Service. */
  readonly routed: Revision | null;
  /** Every revision that is remembered, deployed or has pods. One that is absent has nothing. */
  readonly pods: Readonly<Record<Revision, RevisionPods>>;
};

/** What the spec asks for beside the revision. */
export type RolloutPlan = {
  readonly replicas: number;
  /** A candidate that is not ready after this long is given up. */
  readonly readyWithinMs: Millis;
  /** How long a replaced revision keeps its pods after traffic has left it. */
  readonly settleMs: Millis;
};

/** Reasons that speak of a pod: the cluster's own word, or the code of the runtime's last words. */
export type TroubleReason =
  | 'ImagePullBackOff' | 'InvalidImageName' | 'ContainerConfigError' | 'OOMKilled' | 'CrashLoopBackOff' | 'Unschedulable'
  | 'PodsNotCreated' | 'PodFailed' | 'DigestMismatch' | 'InvalidModel' | 'SourceInvalid' | 'SourceMissing' | 'SourceUnavailable'
  | 'ModelTooLarge' | 'PrecisionMissing' | 'ProviderUnavailable' | 'LoadFailed' | 'WarmupTimeout' | 'PrepareFailed';

/** Shown, spelled just so, as the condition's reason, the Event's reason and the log's `reason`. */
export type Reason =
  | TroubleReason
  | 'RevisionCreated' | 'RevisionStarting' | 'RevisionWarming' | 'RevisionReady' | 'RevisionReverted' | 'RevisionSuperseded'
  | 'RouteMoving' | 'Draining' | 'Promoted' | 'UpToDate' | 'ScaledToZero' | 'Scaling' | 'NoReadyPods' | 'LateRollback' | 'ProgressDeadlineExceeded' | 'ApplyFailed';

export type Decision = {
  readonly next: RolloutState;
  /** The revision that the entry Service is to select; null: none exists yet. */
  readonly serve: Revision | null;
  /** Revisions that are to have children, with their pods. Children of any other revision are deleted. */
  readonly run: readonly { readonly revision: Revision; readonly replicas: number }[];
  readonly reason: Reason;
  readonly message: string;
  /** Look again by then even if nothing happens. */
  readonly recheckMs?: Millis;
};

/** The revision that serves in a state, if any. */
export function stableOf(state: RolloutState): Revision | null {
  return 'stable' in state ? state.stable : null;
}

/** The revision that is to take over, or that was refused. */
export function candidateOf(state: RolloutState): Revision | null {
  if (state.phase === 'Preparing') return state.candidate;
  return state.phase === 'Failed' ? state.rejected : null;
}
