/**
 * The vocabulary of a rollout: what is remembered, what is seen, what is decided.
 *
 * Owns:   the types; nothing here runs but a few readers. Reasons are in api/reasons.ts. Read this first, then
 *         plan.ts and decide.ts.
 * Words:  a *revision* is one immutable configuration of a model. The *stable* revision serves; a *candidate*
 *         is to take over and gets its traffic step by step; a *retiring* one served until a moment ago and
 *         still has its pods. A *weight* is the candidate's share of the traffic in percent.
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

/** What a rollout has to remember as long as it lasts. */
type Course = {
  readonly stable: Revision;
  readonly candidate: Revision;
  /** 1 at first; one more after each retry. */
  readonly attempt: number;
  /** Pods that were asked for when it began: an autoscaler may raise the number during it, not lower it. */
  readonly floor: number;
  readonly since: Millis;
  /** spec.rollout.paused holds the rollout since then; clocks stand still. */
  readonly heldAt?: Millis;
  /** Stable has had no ready pod since then, or its traffic has not come back yet. */
  readonly stableLostAt?: Millis;
  /** The first judgement that this attempt went on without. */
  readonly skipped?: Skip;
  /** What the last judgement that was done has shown, in words. */
  readonly shown?: string;
};

/** The retry token that was there when a candidate was refused asks for no other attempt. One that comes later does. */
export type Handled = { readonly handledRetryToken?: string };

/** Intents of the spec that have had their effect, or can have none (intents.ts): they ask for nothing more. */
export type Spent = Readonly<Partial<Record<'promoteRevision' | 'resumeStep', string>>>;

type Refusal = Handled & {
  readonly rejected: Revision;
  readonly cause: DecisionReason;
  readonly detail: string;
  readonly attempt: number;
  readonly since: Millis;
};

/** Where in its steps a rollout is. */
type Place = Course & {
  /** Index into the plan's steps; their number: all are done. */
  readonly step: number;
  /** The weight that the last weight step asks for, 0 to 100. */
  readonly weight: number;
  /** The candidate has had no ready pod since then, and gets no traffic meanwhile. */
  readonly lostAt?: Millis;
};

/** Why a rollout waits although nothing is being done. Every one has an exit: see docs/rollouts.md. */
export type PauseReason = 'Step' | 'Undecided' | 'ReportsStale' | 'StableUnhealthy' | 'WeightConflict';

/** What each phase has to remember. A field that a phase does not need is not there to be wrong. */
export type Memory = {
  /** Nothing was ever served or tried. */
  New: Record<never, never>;
  /** The candidate's pods come up and are checked; whoever is stable serves. */
  Preparing: Omit<Course, 'stable' | 'skipped' | 'shown'> & { readonly stable: Revision | null };
  /** The weight is on its way from `set`, which traffic was seen to have, to `weight`. */
  Shifting: Place & { readonly set: number };
  /** Both revisions serve and are judged in the window that began with block `window`. */
  Analyzing: Place & { readonly window: Block };
  /** The weight stays until something happens. */
  Paused: Place & { readonly window: Block; readonly why: PauseReason };
  /**
   * The candidate is stable now by decision; traffic at rest may not follow it yet. `lostAt`: it has had no ready pod
   * since then, and the retiring one serves.
   */
  Promoting: {
    readonly stable: Revision;
    readonly retiring: Revision | null;
    readonly since: Millis;
    readonly lostAt?: Millis;
  };
  /** Traffic goes to the new stable; the old one's pods finish what they have and stay for an instant way back. */
  Settling: {
    readonly stable: Revision;
    readonly retiring: Revision;
    readonly since: Millis;
    readonly lostAt?: Millis;
  };
  /** One revision, nothing to do. */
  Stable: { readonly stable: Revision };
  /** The candidate's weight goes to 0. Then it is given up, or another begins. */
  Aborting: Refusal & { readonly stable: Revision };
  /** The candidate was given up. Whoever was stable serves. */
  Failed: Refusal & { readonly stable: Revision | null };
};
export type Phase = keyof Memory;
export type StateIn<P extends Phase> = { readonly phase: P } & Readonly<Memory[P]>;
export type RolloutState = { [P in Phase]: StateIn<P> }[Phase];
/** Phases in which a candidate has its place among the steps. */
export type CanaryState = StateIn<'Shifting'> | StateIn<'Analyzing'> | StateIn<'Paused'>;

/**
 * What is wrong with a pod, or with making one. `fatal`: trying the same again cannot help. `at`: when a container
 * ended by it, to the second.
 */
export type Trouble = {
  readonly reason: ReasonFrom<'pod'>;
  readonly message: string;
  readonly fatal: boolean;
  readonly at?: Millis;
};

/** Whether a revision may get traffic at all: signature, provider, golden set (operator/gates/before-traffic.ts). */
export type Checks = {
  readonly verdict: 'Pass' | 'Fail' | 'Waiting';
  readonly reason: ReasonFrom<'check'>;
  readonly message: string;
};

/** The pods of one revision, as read in this pass. */
export type RevisionPods = {
  /** Pods that pass their readiness probe and are not going away. */
  readonly ready: number;
  /** Pods that are not going away, ready or not. */
  readonly present: number;
  /** Whether there is a Deployment for them. */
  readonly deployed: boolean;
  /** The worst trouble among them. */
  readonly trouble?: Trouble;
  /** Whether the first pod's `prepare` has said which bytes the revision is made of. */
  readonly resolved: boolean;
  /** Of a candidate; absent: nothing is to be checked. */
  readonly checks?: Checks;
};

/** What traffic really does, as far as the API tells (operator/traffic/router.ts). */
export type TrafficSeen = {
  /**
   * Percent, 0 to 100, that each revision gets now; one that is absent gets none. Undefined while it is not known: the
   * route is not accepted at its generation, the selector moves.
   */
  readonly shares: Readonly<Record<Revision, number>> | undefined;
  /** Why the shares are not known, or the route not accepted, in words. */
  readonly problem?: string;
  /** The same in one word: the condition's reason. */
  readonly reason?: ReasonFrom<'route'>;
  /** How often in the last ten minutes somebody else's weights were put back. */
  readonly reverts: number;
};

/** What the gates say of the window that the state remembers (operator/gates). */
export type GateReading = {
  /** First block of the window. A reading of another window is none. */
  readonly window: Block;
  /** Whether the step may end, by all gates and what the step requires; NoFail where the step is no analyze step. */
  readonly step: 'Done' | 'Fail' | 'Waiting';
  /** Not every pod could be asked since this process began: what is undecided now may be decided in a moment. */
  readonly pending?: boolean;
  /** The reports tell of no request to the candidate in the window. */
  readonly idle?: boolean;
  /** Probes a minute that the gates ask for, over all the candidate's pods; absent: none. */
  readonly probes?: number;
  /** What was shown of the candidate, when step is Done: "nothing worse than ... shown". */
  readonly shown?: string;
  /** What was foreseen of the step when it began. */
  readonly promise?: string;
  /** Which kind of gate failed first, when step is Fail. */
  readonly failed?: ReasonFrom<'gate'>;
  /** One sentence with the numbers: what failed, or what is still needed. */
  readonly message: string;
  /** The candidate by its absolute limits alone; None: there are none. */
  readonly absolute: 'Pass' | 'Fail' | 'Waiting' | 'None';
  /** Stable itself breaks an absolute limit: which, in words. */
  readonly stableSick?: string;
  /** Revisions none of whose pods was heard for too long. */
  readonly silent: readonly Revision[];
};

/** The world as read in this pass. Plain data: a test writes one by hand. */
export type Observation = {
  /** Revision of the spec as it is now, or the pinned one. */
  readonly target: Revision;
  /** Revision that the entry Service selects; null: there is no entry Service, or it selects by the serving label. */
  readonly routed: Revision | null;
  /** Revision that the entry Service names as the stable one while it does not select it alone. */
  readonly marked?: Revision;
  /** Every revision that is remembered, deployed or has pods. One that is absent has nothing. */
  readonly pods: Readonly<Record<Revision, RevisionPods>>;
  /** Absent: nothing serves yet. */
  readonly traffic?: TrafficSeen;
  readonly gates?: GateReading;
  /** How revisions became stable, where that is the last that is known of them. */
  readonly provenance?: Readonly<Record<Revision, Provenance>>;
  /** Revisions that were given up and have not been promoted since. */
  readonly refused?: readonly Revision[];
  /** Intents of the spec that the plan is without. */
  readonly spent?: Spent;
};

export type Decision = {
  readonly next: RolloutState;
  /** The revision that gets the traffic, or what the canary leaves of it; null: none exists yet. */
  readonly serve: Revision | null;
  /** Gets `weight` percent, 1 to 99, of the traffic. Absent: all of it goes to `serve`. */
  readonly canary?: { readonly revision: Revision; readonly weight: number };
  /** Revisions that are to have children, with their pods. Children of any other revision are deleted. */
  readonly run: readonly { readonly revision: Revision; readonly replicas: number }[];
  readonly reason: DecisionReason;
  readonly message: string;
  /** Look again by then even if nothing happens. */
  readonly recheckMs?: Millis;
  /** A revision that becomes stable by this decision. */
  readonly became?: Became;
  /** Intents of the spec that ask for nothing from now on. */
  readonly spent?: Spent;
};

/**
 * `skipped`: what was not checked, in words; absent when every check that the spec asks for has passed. `shown`: what
 * the gates have shown then.
 */
export type Became = {
  readonly revision: Revision;
  readonly provenance: Provenance;
  readonly skipped?: string;
  readonly shown?: string;
};

/** The revision that serves in a state, if any. */
export function stableOf(state: RolloutState): Revision | null {
  return 'stable' in state ? state.stable : null;
}

/** The revision that is to take over, or that was refused. */
export function candidateOf(state: RolloutState): Revision | null {
  if ('candidate' in state) return state.candidate;
  return 'rejected' in state ? state.rejected : null;
}

/** What a decision is made on beside the state. */
export type At = { readonly seen: Observation; readonly plan: RolloutPlan; readonly now: Millis };

/** A rule of one phase: undefined when it has nothing to say. */
export type DecisionRule<P extends Phase> = (state: StateIn<P>, at: At) => Decision | undefined;
