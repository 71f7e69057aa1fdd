/**
 * Brings one model one step closer to its spec.
 *
 * Owns:   the order - see, decide, report, build, apply - and nothing inside any of them.
 * Level:  it is told a key, never an event. Running it twice does no more than running it once.
 * Safe:   what was decided is written to the status first, with the resourceVersion it was decided on; a 409
 *         ends the pass. A crash between any two steps is repeated from the status by whoever comes next. A
 *         cache that is behind our own last write makes the pass wait, for it would decide on the past.
 */
import { kindOf } from '../../api/errors.ts';
import type { OnnxModel, OnnxModelStatus } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { doubledMs } from '../../lib/retry.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { apply } from './apply.ts';
import { checksOf } from '../gates/checks.ts';
import { stepPlaceOf } from '../gates/gate-status.ts';
import type { Gates, Shown } from '../gates/gatekeeper.ts';
import { freezeGolden, goldenRecheckMs, type FrozenMemory } from '../golden/golden-set.ts';
import { controllerRevisions, onnxModels } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient } from '../../kube/client/kube-client.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import { observe } from '../see/observe.ts';
import {
  seenOf,
  wholeRecords,
  type ApplyFailure,
  type Caches,
  type Observed,
  type Reports,
  type Seen,
  type Settings,
} from '../see/seen.ts';
import { isOlder, RecentWrites } from './recent-writes.ts';
import { revisionOfChild } from '../see/ownership.ts';
import { Tokens } from './tokens.ts';
import { desiredState } from './desired-state.ts';
import type { Manifest } from '../resources/objects.ts';
import { controllerRevision } from '../resources/revisions.ts';
import { decide } from '../rollout/decide.ts';
import type { Decision } from '../rollout/state.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';
import { modelStatusOf } from './status.ts';
import { TrafficMemory } from '../traffic/traffic-memory.ts';

export type World = {
  readonly client: KubeClient;
  readonly caches: Caches;
  readonly reports: Reports;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Tells people: an Event on the model. Never fails. */
  readonly announce: (model: OnnxModel, decision: Decision) => void;
  /** The judge of candidates under traffic; absent: nothing is judged. */
  readonly gates?: Gates;
  /** Makes the token of a revision; absent: of 32 random bytes. */
  readonly makeToken?: () => string;
  /** Counts what a pass saw and wrote. Never fails. */
  readonly measure?: (key: string, pass: Pass | undefined) => void;
  /** The pass's picture, for who follows the pods' reports. */
  readonly follow: (key: string, seen: Seen | undefined, decision: Decision | undefined) => void;
};

/** What is decided in a pass, and when. */
type Turn = {
  readonly decision: Decision;
  readonly now: number;
  readonly call: CallOptions;
};
/** What a pass saw, decided and wrote, or would have written. */
export type Pass = {
  readonly seen: Seen;
  readonly decision: Decision;
  readonly status: OnnxModelStatus;
  readonly now: number;
};

/** How long a pass waits for the cache to show our own last write before it looks again. */
const staleRecheckMs = 1000;
/**
 * A status that is refused as invalid is written again after the first of these, then after twice the time, up to the
 * second.
 */
const statusRetryMs = { baseMs: 1_000, maxMs: 60_000 } as const;
/** Past this the versions themselves went back: the cluster was restored from a backup. */
const staleLimitMs = 60_000;

export class Reconciler {
  readonly #world: World;
  /** What could not be applied in the last pass of a model: the next pass reports it. */
  readonly #failures = new Map<string, ApplyFailure>();
  /** Our last status write of a model: a cache that is older is not to be decided on. */
  readonly #written = new Map<string, { readonly version: string; readonly atMs: number }>();
  /** Our last writes of a model's children. */
  readonly #recent = new Map<string, RecentWrites>();
  readonly #traffic = new Map<string, TrafficMemory>();
  /** What in a model's children is not as wanted and stays: the next pass reports it. */
  readonly #told = new Map<string, readonly string[]>();
  readonly #frozen = new Map<string, FrozenMemory>();
  /** How often in a row a model's status was refused as invalid. */
  readonly #statusRefusals = new Map<string, number>();
  readonly #tokens: Tokens;

  constructor(world: World) {
    this.#world = world;
    this.#tokens = new Tokens(world.makeToken);
  }

  /** @param signal ends the pass's requests: it has run too long, or the process ends */
  async reconcile(key: string, signal?: AbortSignal): Promise<{ readonly recheckMs?: number }> {
    const { caches, settings, clock } = this.#world;
    const observed = observe(key, caches, settings, {
      ...present({ failure: this.#failures.get(key) }),
      reverts: this.#trafficOf(key).reverts(clock.monotonic()),
    });
    if (observed === undefined) {
      this.#forget(key);
      return {};
    }
    if (this.#isBehind(key, observed.model)) return { recheckMs: staleRecheckMs };

    const now = clock.now();
    const call = present({ signal });
    const { seen, shown } = await this.#see(key, observed, { now, call });
    const decision = decide(seen.memory, seen.rollout, seen.plan, now);
    try {
      await this.#report(key, seen, { decision, now, call, ...present({ shown }) });
    } catch (error) {
      // The model was deleted a moment ago; its going is watched.
      if (isNotFound(error)) return {};
      if (kindOf(error) === 'invalid') return { recheckMs: this.#statusRefused(key, observed.model, error) };
      throw error;
    }
    this.#statusRefusals.delete(key);
    this.#world.follow(key, seen, decision);
    const waiting = await this.#apply(key, seen, { decision, now, call });
    const rechecks = [
      decision.recheckMs,
      waiting,
      seen.held === undefined ? undefined : goldenRecheckMs,
      this.#recentOf(key).isPending(clock.monotonic()) ? staleRecheckMs : undefined,
    ].filter((ms) => ms !== undefined);
    return rechecks.length === 0 ? {} : { recheckMs: Math.min(...rechecks) };
  }

  /** What was observed, with what this process knows and judges of it. */
  async #see(
    key: string,
    observed: Observed,
    { now, call }: Pick<Turn, 'now' | 'call'>,
  ): Promise<{ readonly seen: Seen; readonly shown?: Shown }> {
    const { client, reports, gates } = this.#world;
    const tokens = this.#tokens.of(key, observed);
    const { frozen, held } = await freezeGolden({ client, call, frozen: this.#frozenOf(key) }, observed);
    const records = wholeRecords(observed, tokens, frozen);
    const checks = checksOf(observed, { records, held, reports, now });
    const judged = gates?.judge(key, observed, now);
    const seen = seenOf(observed, { records, held, checks, gates: judged?.reading });
    return { seen, ...present({ shown: judged?.shown }) };
  }

  /** One write, and only when the status says something new. */
  async #report(
    key: string,
    seen: Seen,
    { decision, now, call, shown }: Turn & { readonly shown?: Shown },
  ): Promise<void> {
    const { client, reports, settings } = this.#world;
    const { model } = seen;
    const failure = this.#failures.get(key)?.trouble;
    const status = modelStatusOf({
      seen,
      decision,
      reports,
      settings,
      now,
      told: this.#told.get(key) ?? [],
      ...present({ failure, shown }),
    });
    const isNew = !sameStatus(model.status, status);
    if (isNew) {
      const stored = await client.replaceStatus(onnxModels, model, status, call);
      this.#written.set(key, { version: stored.metadata.resourceVersion, atMs: this.#world.clock.monotonic() });
    }
    this.#world.measure?.(key, { seen, decision, status, now });
    if (isNew && hasMoved(model.status, status)) this.#tell(model, decision, status);
  }

  /**
   * The definition in the cluster is older than this operator, or a webhook refuses: nobody tells us when that is over.
   * Nothing is applied meanwhile, for a decision counts once it is written.
   *
   * @returns when to try again, in milliseconds
   */
  #statusRefused(key: string, model: OnnxModel, error: unknown): number {
    const times = (this.#statusRefusals.get(key) ?? 0) + 1;
    this.#statusRefusals.set(key, times);
    this.#world.logger.warn('status refused', {
      model: model.metadata.name,
      namespace: model.metadata.namespace,
      times,
      err: error,
    });
    return doubledMs(statusRetryMs, times);
  }

  #tell(model: OnnxModel, decision: Decision, status: OnnxModelStatus): void {
    const { name, namespace } = model.metadata;
    this.#world.logger.info('rollout moved', {
      model: name,
      namespace,
      phase: status.phase,
      reason: decision.reason,
      detail: decision.message,
      ...stepPlaceOf(status),
    });
    this.#world.announce(model, decision);
  }

  /**
   * @returns when to look again at what takes a moment; and when to try again what the API server refuses as invalid
   *   and what has a name that is taken (RecentWrites, refusedMs): at once the first time, for the status to say so.
   *   Whatever else fails is thrown, and tried again with backoff.
   */
  async #apply(key: string, seen: Seen, { decision, now, call }: Turn): Promise<number | undefined> {
    const { client, clock, gates } = this.#world;
    const manifests = [
      ...desiredState(seen.model, decision, recordsToMake(seen)),
      ...orphanedRecords(seen, decision),
      ...(gates?.children(key, seen, decision, now) ?? []),
    ];
    const applied = await apply(
      { client, clock, call, recent: this.#recentOf(key), traffic: this.#trafficOf(key) },
      seen,
      { decision, manifests },
    );
    if (applied.reverted !== undefined) this.#tellOfDrift(seen.model, decision, applied.reverted);
    const isNews = this.#keepTold(key, applied.told ?? []);
    if (applied.failure === undefined) {
      this.#failures.delete(key);
      return isNews ? 0 : applied.recheckMs;
    }
    const isKnown = this.#failures.get(key)?.trouble.message === applied.failure.trouble.message;
    this.#failures.set(key, applied.failure);
    if (applied.retryMs === undefined) throw applied.error;
    if (isKnown) return applied.retryMs;
    this.#world.logger.warn('manifest refused', {
      model: seen.model.metadata.name,
      namespace: seen.model.metadata.namespace,
      err: applied.error,
    });
    return 0;
  }

  /** @returns whether it is not what the status just written says */
  #keepTold(key: string, told: readonly string[]): boolean {
    const before = this.#told.get(key) ?? [];
    this.#told.set(key, told);
    return before.join('\n') !== told.join('\n');
  }

  #tellOfDrift(model: OnnxModel, decision: Decision, reverted: string): void {
    const message = `somebody changed ${reverted}; it is as the rollout wants it again`;
    this.#world.logger.warn('route put back', { model: model.metadata.name, namespace: model.metadata.namespace });
    this.#world.announce(model, { ...decision, reason: 'WeightDrift', message });
  }

  #trafficOf(key: string): TrafficMemory {
    const traffic = this.#traffic.get(key) ?? new TrafficMemory();
    this.#traffic.set(key, traffic);
    return traffic;
  }

  #frozenOf(key: string): FrozenMemory {
    const frozen = this.#frozen.get(key) ?? new Map();
    this.#frozen.set(key, frozen);
    return frozen;
  }

  #recentOf(key: string): RecentWrites {
    const recent = this.#recent.get(key) ?? new RecentWrites();
    this.#recent.set(key, recent);
    return recent;
  }

  #isBehind(key: string, model: OnnxModel): boolean {
    const written = this.#written.get(key);
    if (written === undefined || this.#world.clock.monotonic() - written.atMs > staleLimitMs) return false;
    return isOlder(model.metadata.resourceVersion, written.version);
  }

  #forget(key: string): void {
    this.#failures.delete(key);
    this.#written.delete(key);
    this.#recent.delete(key);
    this.#traffic.delete(key);
    this.#told.delete(key);
    this.#frozen.delete(key);
    this.#statusRefusals.delete(key);
    this.#tokens.forget(key);
    this.#world.gates?.forget(key);
    this.#world.measure?.(key, undefined);
    this.#world.follow(key, undefined, undefined);
  }
}

function hasMoved(before: OnnxModelStatus | undefined, after: OnnxModelStatus): boolean {
  return before?.rollout?.reason !== after.rollout?.reason || before?.phase !== after.phase;
}

/** Without a record a revision gets no manifests, and what it has of them stays. */
function recordsToMake({ held, records }: Seen): Seen['records'] {
  return held === undefined ? records : new Map([...records].filter(([revision]) => revision !== held));
}

/** Records of revisions that do not run and that nothing owns: without an owner they would stay for good. */
function orphanedRecords({ model, children, records }: Seen, { run }: Decision): readonly Manifest[] {
  const orphans = children.filter(
    ({ kind, metadata: { ownerReferences = [] } }) => kind === controllerRevisions.kind && ownerReferences.length === 0,
  );
  const revisions = orphans
    .map((object) => revisionOfChild(object, model.metadata.name))
    .filter((revision) => !run.some((entry) => entry.revision === revision));
  return revisions
    .map((revision) => records.get(revision ?? ''))
    .filter((record) => record !== undefined)
    .map((record) => controllerRevision(model, record));
}

function sameStatus(before: OnnxModelStatus | undefined, after: OnnxModelStatus): boolean {
  return before !== undefined && canonicalJson(before) === canonicalJson(after);
}
