/**
 * The types of a rollout: its state, what a pass observes, and what it decides.
 *
 * Owns: the types and a few readers; the reasons are in api/reasons.ts. Read this first, then plan.ts and decide.ts.
 * Words: a *revision* is one immutable configuration of a model. The *stable* revision serves; a *candidate* is meant
 * to replace it; its *weight* is its share of the traffic in percent. A *retiring* revision was stable until the latest
 * promotion and still has pods (docs/vocabulary.md). *Gates* judge the candidate in a *window* of 20 s blocks. An
 * *intent* is a field of spec.rollout that asks for one action. *Provenance* is how a revision became stable.
 */
import type { DecisionReason, ReasonFrom } from '../../api/reasons.ts';
import type { RolloutPlan } from './plan.ts';
import type { Provenance, Skip } from './provenance.ts';

export type { RolloutPlan } from './plan.ts';
export type { Provenance } from './provenance.ts';

/** Ten hex digits: the hash of everything in the spec that changes the pods. */
export type Revision = string;
export type Millis = number;
/** Index of a 20 s block: floor(unix seconds / 20). */
export type Block = number;

/** The fields that the state has in every phase of a rollout. */
type Course = {
  readonly stable: Revision;
  readonly candidate: Revision;
  /** The number of this attempt: 1 at first, one more after each retry. */
  readonly attempt: number;
  /**
   * spec.replicas when the rollout began, or when a pause before its first step ended. During the rollout an autoscaler
   * may raise the number of pods above this but not lower it below this.
   */
  readonly floor: number;
  readonly since: Millis;
  /**
   * Since when spec.rollout.paused has held the rollout. While this field is set, time limits of the rollout do not
   * run.
   */
  readonly heldAt?: Millis;
  /**
   * Since when stable has had no ready pod. In a pause, the field stays set until stable has its share of the traffic
   * again.
   */
  readonly stableLostAt?: Millis;
  /** The first judgement that this attempt skipped. */
  readonly skipped?: Skip;
  /** The bounds on the candidate that the last completed analyze step has shown, as a message. */
  readonly shown?: string;
};

/** The retry token at the time of the refusal. Only a different token asks for a retry. */
export type Handled = { readonly handledRetryToken?: string };

/** Intents of the spec that have had their effect or can no longer have an effect (intents.ts). They are ignored. */
export type Spent = Readonly<Partial<Record<'promoteRevision' | 'resumeStep', string>>>;

type Refusal = Handled & {
  readonly rejected: Revision;
  readonly cause: DecisionReason;
  readonly detail: string;
  readonly attempt: number;
  readonly since: Millis;
};

/** The position of a rollout in its steps. */
type Place = Course & {
  /** Index into the plan's steps. It equals the number of steps when all steps are done. */
  readonly step: number;
  /** The candidate's weight in percent, 0 to 100. While the weight moves, this is the target. */
  readonly weight: number;
  /**
   * Since when the candidate has had no ready pod while stable had one. Absent if the candidate has a ready pod, or if
   * neither revision has one.
   */
  readonly lostAt?: Millis;
};

/** Why a rollout waits for an event. docs/rollouts.md lists what ends each wait. */
export type PauseReason = 'Step' | 'Undecided' | 'ReportsStale' | 'StableUnhealthy' | 'WeightConflict';

/** The stored fields of each phase. A phase has only the fields that it needs. */
export type Memory = {
  /** No rollout has begun, or the stored state was lost. */
  New: Record<never, never>;
  /** The candidate's pods start and are checked; stable serves, if there is one. */
  Preparing: Omit<Course, 'stable' | 'skipped' | 'shown'> & { readonly stable: Revision | null };
  /** The weight moves to `weight`. `set` is the last weight that the traffic has matched. */
  Shifting: Place & { readonly set: number };
  /** The weight stays, and the gates judge the candidate in the window that began with block `window`. */
  Analyzing: Place & { readonly window: Block };
  /** The weight stays until the pause ends. `why` is the kind of the pause. */
  Paused: Place & { readonly window: Block; readonly why: PauseReason };
  /** The candidate was promoted and is now `stable`, but the traffic may not have moved to it yet. */
  Promoting: {
    readonly stable: Revision;
    readonly retiring: Revision | null;
    readonly since: Millis;
    /** Since when the new stable revision has had no ready pod while the retiring revision had one and serves. */
    readonly lostAt?: Millis;
  };
  /** Traffic goes to the new stable; the old revision's pods finish their requests and stay for a fast rollback. */
  Settling: {
    readonly stable: Revision;
    readonly retiring: Revision;
    readonly since: Millis;
    /** Since when the new stable revision has had no ready pod while the retiring revision had one and serves. */
    readonly lostAt?: Millis;
  };
  /** One revision serves; no rollout is under way. */
  Stable: { readonly stable: Revision };
  /** The candidate's weight goes to 0. Then the candidate is given up, or another rollout begins. */
  Aborting: Refusal & { readonly stable: Revision };
  /** The candidate was given up. Stable serves, if there is one. */
  Failed: Refusal & { readonly stable: Revision | null };
};
export type Phase = keyof Memory;
export type StateIn<P extends Phase> = { readonly phase: P } & Readonly<Memory[P]>;
export type RolloutState = { [P in Phase]: StateIn<P> }[Phase];
/** Phases in which a candidate goes through its steps. */
export type CanaryState = StateIn<'Shifting'> | StateIn<'Analyzing'> | StateIn<'Paused'>;

/** A problem of a pod, or a problem with the creation of a pod. */
export type Trouble = {
  readonly reason: ReasonFrom<'pod'>;
  readonly message: string;
  /** True if a retry cannot help. */
  readonly fatal: boolean;
  /** When the container ended, rounded down to a whole second. */
  readonly at?: Millis;
};

/** Whether a candidate may get traffic: signature, provider, golden set (operator/gates/before-traffic.ts). */
export type Checks = {
  readonly verdict: 'Pass' | 'Fail' | 'Waiting';
  readonly reason: ReasonFrom<'check'>;
  readonly message: string;
};

/** The pods of one revision, as read in this pass. */
export type RevisionPods = {
  /** Pods that pass their readiness probe and are not being deleted. */
  readonly ready: number;
  /** Pods that are not being deleted, ready or not. */
  readonly present: number;
  /** Whether the Deployment of these pods exists. */
  readonly deployed: boolean;
  /** The worst trouble of these pods. */
  readonly trouble?: Trouble;
  /** Whether the first pod's `prepare` has reported the digests of the revision's files. */
  readonly resolved: boolean;
  /** The result of a candidate's checks. Absent if nothing has to be checked. */
  readonly checks?: Checks;
};

/** The actual traffic, as far as the API shows it (operator/traffic/router.ts). */
export type TrafficSeen = {
  /**
   * The percentage, 0 to 100, that each revision gets now; an absent revision gets 0. Undefined while the shares are
   * unknown, because the route is not accepted at its generation or the selector is changing.
   */
  readonly shares: Readonly<Record<Revision, number>> | undefined;
  /** Why the shares are unknown or the route is not accepted, as a message. */
  readonly problem?: string;
  /** The cause of `problem`, as the reason of a condition. */
  readonly reason?: ReasonFrom<'route'>;
  /** How often in the last ten minutes the operator undid another client's weights. */
  readonly reverts: number;
};

/** The gates' result for the window in the state (operator/gates). */
export type GateReading = {
  /** First block of the window. A reading of another window is ignored. */
  readonly window: Block;
  /**
   * Whether the step may end, by the verdicts of all gates and the step's `require`. Outside a judged step, NoFail is
   * required.
   */
  readonly step: 'Done' | 'Fail' | 'Waiting';
  /**
   * True while this process, after its start, waits for the first report of some pods. A gate that is undecided now may
   * decide shortly.
   */
  readonly pending?: boolean;
  /** True if the reports show no request to the candidate in the window. */
  readonly idle?: boolean;
  /**
   * The number of probes a minute that the gates need, for all the candidate's pods together. A probe is a test input
   * that is sent to both revisions to compare their service times. Absent if no probes are needed.
   */
  readonly probes?: number;
  /** When step is Done, what the gates have shown: "nothing worse than ... shown". */
  readonly shown?: string;
  /**
   * A forecast of the step, made when the step began: how long it takes and what it can show
   * (operator/analysis/promise.ts).
   */
  readonly promise?: string;
  /** When step is Fail, the kind of the first gate that failed. */
  readonly failed?: ReasonFrom<'gate'>;
  /** One sentence with the numbers. It says what failed, or what is still needed. */
  readonly message: string;
  /** The candidate's result by absolute limits alone. None: the plan does not have absolute limits. */
  readonly absolute: 'Pass' | 'Fail' | 'Waiting' | 'None';
  /** The absolute limit that stable itself breaks, as a message. */
  readonly stableSick?: string;
  /** Revisions that are silent: none of their pods has sent a report for too long. */
  readonly silent: readonly Revision[];
};

/** The cluster as read in one pass. It is plain data, so that a test can write an observation by hand. */
export type Observation = {
  /** Revision of the current spec, or the pinned revision. */
  readonly target: Revision;
  /**
   * Revision that the entry Service selects. Null if the entry Service does not exist, or if it selects the label that
   * ready pods of both revisions share.
   */
  readonly routed: Revision | null;
  /**
   * Revision that the entry Service names as stable in an annotation. Absent if the Service selects only the stable
   * revision.
   */
  readonly marked?: Revision;
  /** Every revision that is stored, deployed or has pods. An absent revision does not have pods. */
  readonly pods: Readonly<Record<Revision, RevisionPods>>;
  /** The actual traffic. Absent if no revision serves yet. */
  readonly traffic?: TrafficSeen;
  readonly gates?: GateReading;
  /** Provenances of the revisions whose latest outcome is a promotion. */
  readonly provenance?: Readonly<Record<Revision, Provenance>>;
  /** Revisions that were given up and were not promoted afterwards. */
  readonly refused?: readonly Revision[];
  /** Intents of the spec that the plan does not contain, because they are spent. */
  readonly spent?: Spent;
};

export type Decision = {
  readonly next: RolloutState;
  /** The revision that gets all the traffic except the canary's share. Null if no revision can serve yet. */
  readonly serve: Revision | null;
  /** The candidate, which gets `weight` percent, 1 to 99, of the traffic. Absent if `serve` gets all the traffic. */
  readonly canary?: { readonly revision: Revision; readonly weight: number };
  /** Revisions that must have children, with their numbers of pods. Other revisions' children are deleted. */
  readonly run: readonly { readonly revision: Revision; readonly replicas: number }[];
  readonly reason: DecisionReason;
  readonly message: string;
  /** The next pass runs after this time at the latest, even if no event arrives. */
  readonly recheckMs?: Millis;
  /** A revision that becomes stable by this decision. */
  readonly became?: Became;
  /** Intents of the spec that are ignored from now on. */
  readonly spent?: Spent;
};

/** What a decision says about a revision that becomes stable. */
export type Became = {
  readonly revision: Revision;
  readonly provenance: Provenance;
  /** A message about the part that was not checked. Absent if every check of the spec has passed. */
  readonly skipped?: string;
  /** A message about the bounds on the candidate that the gates have shown. */
  readonly shown?: string;
};

/** The revision that serves in a state, if any. */
export function stableOf(state: RolloutState): Revision | null {
  return 'stable' in state ? state.stable : null;
}

/** The candidate of a state, or the revision that was rejected. */
export function candidateOf(state: RolloutState): Revision | null {
  if ('candidate' in state) return state.candidate;
  return 'rejected' in state ? state.rejected : null;
}

/** The inputs of a decision other than the state. */
export type At = { readonly seen: Observation; readonly plan: RolloutPlan; readonly now: Millis };

/** A rule of one phase. It returns undefined when it does not apply. */
export type DecisionRule<P extends Phase> = (state: StateIn<P>, at: At) => Decision | undefined;
