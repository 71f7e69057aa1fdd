/**
 * A simulation around `decide`, without Kubernetes objects: pods start and end, traffic follows with a delay, and a
 * test sets the results of the gates. A decision is stored as in a model's status, so each pass reads what the previous
 * pass wrote. A pass is one decision from one observation; a gate limits one measure of the new revision.
 */
import type { OnnxModelSpec, OnnxModelStatus } from '../../api/onnxmodel.ts';
import { readState, writeState } from '../../operator/see/stored-state.ts';
import { historyAfter } from '../../operator/reconcile/rollout-history.ts';
import { livePlan, spentIn } from '../../operator/rollout/intents.ts';
import { lastKnownOf } from '../../operator/rollout/last-words.ts';
import { decide } from '../../operator/rollout/decide.ts';
import { rolloutPlanOf } from '../../operator/rollout/plan.ts';
import {
  candidateOf,
  stableOf,
  type Decision,
  type GateReading,
  type Observation,
  type Revision,
  type RevisionPods,
  type RolloutPlan,
  type RolloutState,
  type TrafficSeen,
} from '../../operator/rollout/state.ts';

export const [a, b, c] = ['aaaaaaaaaa', 'bbbbbbbbbb', 'cccccccccc'] as const;
export const settleMs = 10_000;

export type Health = 'up' | 'half' | 'down' | 'fatal';
export type GateWord =
  'Done' | 'Fail' | 'Waiting' | 'Sick' | 'SickAndPass' | 'SickAndFail' | 'Silent' | 'Pending' | 'None';
type Share = Pick<Decision, 'serve' | 'canary'>;
type Pods = { present: number; ready: number; resolved: boolean };

const readings: Readonly<Record<Exclude<GateWord, 'None'>, Omit<GateReading, 'window' | 'message' | 'silent'>>> = {
  Done: { step: 'Done', absolute: 'Pass' },
  Fail: { step: 'Fail', absolute: 'Waiting', failed: 'LatencyGateFailed' },
  Waiting: { step: 'Waiting', absolute: 'Waiting' },
  Sick: { step: 'Fail', absolute: 'Waiting', failed: 'ErrorsGateFailed', stableSick: 'errors 9%' },
  SickAndPass: { step: 'Fail', absolute: 'Pass', failed: 'ErrorsGateFailed', stableSick: 'errors 9%' },
  SickAndFail: { step: 'Fail', absolute: 'Fail', failed: 'ErrorsGateFailed', stableSick: 'errors 9%' },
  Silent: { step: 'Waiting', absolute: 'None' },
  Pending: { step: 'Waiting', absolute: 'None', pending: true },
};

export class RolloutWorld {
  now = 1_700_000_000_000;
  target: Revision = a;
  spec: Pick<OnnxModelSpec, 'replicas' | 'rollout' | 'traffic'> = { replicas: 3 };
  status: OnnxModelStatus | undefined;
  gate: GateWord = 'Done';
  checks: RevisionPods['checks'];
  reverts = 0;
  /** Whether traffic follows the requested weights. */
  routeMoves = true;
  readonly health: Record<Revision, Health> = {};
  readonly pods = new Map<Revision, Pods>();
  wanted = new Map<Revision, number>();
  asked: Share = { serve: null };
  /** The revisions' actual shares of the traffic. */
  taken: Share = { serve: null };
  marked: Revision | undefined;

  get plan(): RolloutPlan {
    const asked = rolloutPlanOf(this.spec, settleMs);
    return livePlan(asked, spentIn(this.status, asked));
  }

  get state(): RolloutState {
    return readState(this.status);
  }

  podsOf(revision: Revision | null | undefined): Pods {
    return this.pods.get(revision ?? '') ?? { present: 0, ready: 0, resolved: false };
  }

  /** The percentage of the traffic that a revision has now. */
  shareOf(revision: Revision): number {
    const { serve, canary } = this.taken;
    if (canary === undefined) return serve === revision ? 100 : 0;
    if (this.plan.router === 'HTTPRoute')
      return revision === canary.revision ? canary.weight : serve === revision ? 100 - canary.weight : 0;
    const total = this.podsOf(serve).ready + this.podsOf(canary.revision).ready;
    return total === 0 || (revision !== serve && revision !== canary.revision)
      ? 0
      : (100 * this.podsOf(revision).ready) / total;
  }

  observe(): Observation {
    const traffic = this.#traffic();
    const reading = this.#reading();
    const shared = this.plan.router === 'Service' && this.taken.canary !== undefined;
    return {
      target: this.target,
      ...lastKnownOf(this.status),
      spent: spentIn(this.status, rolloutPlanOf(this.spec, settleMs)),
      routed: shared ? null : this.plan.router === 'HTTPRoute' ? this.asked.serve : this.taken.serve,
      ...(this.marked === undefined ? {} : { marked: this.marked }),
      ...(traffic === undefined ? {} : { traffic }),
      ...(reading === undefined ? {} : { gates: reading }),
      pods: Object.fromEntries([...this.pods].map(([revision, pods]) => [revision, this.#facts(revision, pods)])),
    };
  }

  /**
   * One pass.
   * @param isApplied false: the process ends after the status write, before it applies the decision
   */
  pass(seen: Observation = this.observe(), isApplied = true): Decision {
    const state = this.state;
    const decision = decide(state, seen, this.plan, this.now);
    this.remember(state, decision);
    if (isApplied) this.apply(decision);
    return decision;
  }

  remember(state: RolloutState, decision: Decision): void {
    const [stable, candidate] = [stableOf(decision.next), candidateOf(decision.next)];
    const history = historyAfter(state, decision, { before: this.status, now: this.now });
    this.status = {
      observedGeneration: 1,
      rollout: writeState(decision),
      ...(history.length === 0 ? {} : { history }),
      ...(stable === null ? {} : { stable: { revision: stable, ...this.#provenanceOf(stable, decision) } }),
      ...(candidate === null ? {} : { candidate: { revision: candidate } }),
    };
  }

  #provenanceOf(stable: Revision, { became }: Decision): { readonly provenance?: string } {
    const provenance = became?.revision === stable ? became.provenance : lastKnownOf(this.status).provenance[stable];
    return provenance === undefined ? {} : { provenance };
  }

  apply({ next, serve, canary, run }: Decision): void {
    this.wanted = new Map(run.map(({ revision, replicas }) => [revision, replicas]));
    this.asked = { serve, ...(canary === undefined ? {} : { canary }) };
    const stable = stableOf(next);
    this.marked = stable !== null && (canary !== undefined || stable !== serve) ? stable : undefined;
    for (const revision of this.wanted.keys())
      if (!this.pods.has(revision)) this.pods.set(revision, { present: 0, ready: 0, resolved: false });
    // Delete the pods of revisions that the decision does not run.
    for (const revision of this.pods.keys()) if (!this.wanted.has(revision)) this.pods.delete(revision);
  }

  /** Simulates the progress of other controllers in a short time: pods start or end, and traffic follows. */
  tick(ms = 5000): void {
    this.now += ms;
    for (const [revision, pods] of this.pods) {
      const health = this.health[revision] ?? 'up';
      pods.present = this.wanted.get(revision) ?? 0;
      pods.ready = { up: pods.present, half: Math.ceil(pods.present / 2), down: 0, fatal: 0 }[health];
      pods.resolved ||= pods.ready > 0;
    }
    if (this.routeMoves) this.taken = this.asked;
  }

  #facts(revision: Revision, { present, ready, resolved }: Pods): RevisionPods {
    const isCandidate = candidateOf(this.state) === revision;
    return {
      present,
      ready,
      resolved,
      deployed: true,
      ...(this.health[revision] === 'fatal'
        ? { trouble: { reason: 'DigestMismatch', message: 'other bytes', fatal: true } as const }
        : {}),
      ...(isCandidate && this.checks !== undefined ? { checks: this.checks } : {}),
    };
  }

  #traffic(): TrafficSeen | undefined {
    if (this.taken.serve === null) return undefined;
    const isMoving = JSON.stringify(this.taken) !== JSON.stringify(this.asked);
    if (this.plan.router === 'HTTPRoute' && isMoving)
      return { shares: undefined, problem: 'not accepted yet', reason: 'RouteNotAccepted', reverts: this.reverts };
    const shares = Object.fromEntries(
      [a, b, c].map((revision) => [revision, this.shareOf(revision)] as const).filter(([, share]) => share > 0),
    );
    return { shares: Object.keys(shares).length === 0 ? undefined : shares, reverts: this.reverts };
  }

  #reading(): GateReading | undefined {
    const state = this.state;
    if (this.gate === 'None' || !('window' in state) || state.window === 0) return undefined;
    return {
      window: state.window,
      message: this.gate,
      silent: this.gate === 'Silent' ? [state.candidate] : [],
      ...readings[this.gate],
    };
  }
}
