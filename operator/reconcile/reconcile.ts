/**
 * Runs one pass for one model: observe, decide, report, build, apply.
 *
 * Terms: A key is namespace/name of a model. A child is an object that the operator makes for a model. A record is what
 * the operator stores of a revision; a held revision is a candidate whose golden set is missing. Gates judge a
 * candidate under traffic.
 * Owns: the order of these stages, not their content. A pass gets a key, not an event, and may be repeated. Before any
 * other write, a pass writes the decision to the status, with the resourceVersion that it read; a 409 ends the pass. So
 * after a crash at any point, the next pass can continue. A pass waits while the cache is older than our last status
 * write.
 */
import { kindOf } from '../../api/errors.ts';
import type { OnnxModel, OnnxModelStatus } from '../../api/onnxmodel.ts';
import type { KubeObject } from '../../api/kube-object.ts';
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
import { Stamps } from './stamps.ts';
import { Tokens } from './tokens.ts';
import { desiredState } from './desired-state.ts';
import type { Manifest } from '../resources/objects.ts';
import { controllerRevision } from '../resources/revisions.ts';
import { decide } from '../rollout/decide.ts';
import type { Decision } from '../rollout/state.ts';
import { isSameJson } from '../../lib/json.ts';
import { modelStatusOf } from './status.ts';
import { TrafficMemory } from '../traffic/traffic-memory.ts';

export type ReconcileDeps = {
  readonly client: KubeClient;
  readonly caches: Caches;
  readonly reports: Reports;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Emits an Event on the model. Never fails. */
  readonly announce: (model: OnnxModel, decision: Decision) => void;
  /** Judges candidates under traffic. If absent, candidates are not judged. */
  readonly gates?: Gates;
  /** Makes the token of a revision. If absent, the token is 32 random bytes. */
  readonly makeToken?: () => string;
  /**
   * Returns the part to remember of the server's answer to a write of a child. If absent, the complete answer is
   * remembered.
   */
  readonly keep?: (answer: KubeObject) => KubeObject;
  /** Updates metrics from what a pass saw and wrote. Never fails. */
  readonly measure?: (key: string, pass: Pass | undefined) => void;
  /**
   * Passes the result of a pass to the report puller. `seen` and `decision` are undefined when the model does not exist
   * any more.
   */
  readonly follow: (key: string, seen: Seen | undefined, decision: Decision | undefined) => void;
};

/** The decision of a pass and its time. */
type Turn = {
  readonly decision: Decision;
  readonly now: number;
  readonly call: CallOptions;
};
/** What a pass observed and decided, and the status after the pass, whether or not the pass had to write it. */
export type Pass = {
  readonly seen: Seen;
  readonly decision: Decision;
  readonly status: OnnxModelStatus;
  readonly now: number;
};

/** Delay before the next pass when the cache does not contain our own last write yet. */
const staleRecheckMs = 1000;
/** Back-off of a status write that the API server refuses as invalid: it starts at baseMs and doubles up to maxMs. */
const statusRetryMs = { baseMs: 1_000, maxMs: 60_000 } as const;
/**
 * The cache is trusted again when it has not shown our status write for this long: the cluster was probably restored
 * from a backup with older versions.
 */
const staleLimitMs = 60_000;

export class Reconciler {
  readonly #deps: ReconcileDeps;
  /** The apply failure of the last pass of each model; the next pass reports it. */
  readonly #failures = new Map<string, ApplyFailure>();
  /** Our last status write of each model. A pass does not decide while the cache is older than this write. */
  readonly #written = new Map<string, { readonly version: string; readonly atMs: number }>();
  /** Our last writes of each model's children. */
  readonly #recent = new Map<string, RecentWrites>();
  readonly #traffic = new Map<string, TrafficMemory>();
  readonly #stamps = new Map<string, Stamps>();
  /**
   * For each model, the fields of children that differ from the manifests and stay as they are. The next pass reports
   * them.
   */
  readonly #told = new Map<string, readonly string[]>();
  readonly #frozen = new Map<string, FrozenMemory>();
  /** How often in succession the server refused the status of each model as invalid. */
  readonly #statusRefusals = new Map<string, number>();
  readonly #tokens: Tokens;

  constructor(deps: ReconcileDeps) {
    this.#deps = deps;
    this.#tokens = new Tokens(deps.makeToken);
  }

  /** @param signal aborts the pass's requests, after its time limit or when the process ends */
  async reconcile(key: string, signal?: AbortSignal): Promise<{ readonly recheckMs?: number }> {
    const { caches, settings, clock } = this.#deps;
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
      // When the model was deleted, the event of its watch triggers the cleanup.
      if (isNotFound(error)) return {};
      if (kindOf(error) === 'invalid') return { recheckMs: this.#statusRefused(key, observed.model, error) };
      throw error;
    }
    this.#statusRefusals.delete(key);
    this.#deps.follow(key, seen, decision);
    const waiting = await this.#apply(key, seen, { decision, now, call });
    const rechecks = [
      decision.recheckMs,
      waiting,
      seen.held === undefined ? undefined : goldenRecheckMs,
      this.#recentOf(key).isPending(clock.monotonic()) ? staleRecheckMs : undefined,
    ].filter((ms) => ms !== undefined);
    return rechecks.length === 0 ? {} : { recheckMs: Math.min(...rechecks) };
  }

  /** Adds to the observed data this process's tokens, frozen golden sets, checks and gate verdicts. */
  async #see(
    key: string,
    observed: Observed,
    { now, call }: Pick<Turn, 'now' | 'call'>,
  ): Promise<{ readonly seen: Seen; readonly shown?: Shown }> {
    const { client, reports, gates } = this.#deps;
    const tokens = this.#tokens.of(key, observed);
    const { frozen, held } = await freezeGolden({ client, call, frozen: this.#frozenOf(key) }, observed);
    const records = wholeRecords(observed, tokens, frozen);
    const checks = checksOf(observed, { records, held, reports, now });
    const judged = gates?.judge(key, observed, now);
    const seen = seenOf(observed, { records, held, checks, gates: judged?.reading });
    return { seen, ...present({ shown: judged?.shown }) };
  }

  /** Writes the status once, and only if it changed. */
  async #report(
    key: string,
    seen: Seen,
    { decision, now, call, shown }: Turn & { readonly shown?: Shown },
  ): Promise<void> {
    const { client, reports, settings } = this.#deps;
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
      this.#written.set(key, { version: stored.metadata.resourceVersion, atMs: this.#deps.clock.monotonic() });
    }
    this.#deps.measure?.(key, { seen, decision, status, now });
    if (isNew && hasMoved(model.status, status)) this.#tell(model, decision, status);
  }

  /**
   * Handles a status that is refused as invalid: the installed CRD is older than this operator, or a webhook refuses
   * it. The operator cannot watch for the end of this problem, so it retries. The decision is not applied before the
   * status is written.
   *
   * @returns when to try again, in milliseconds
   */
  #statusRefused(key: string, model: OnnxModel, error: unknown): number {
    const times = (this.#statusRefusals.get(key) ?? 0) + 1;
    this.#statusRefusals.set(key, times);
    this.#deps.logger.warn('the API server refused the status', {
      model: model.metadata.name,
      namespace: model.metadata.namespace,
      times,
      err: error,
    });
    return doubledMs(statusRetryMs, times);
  }

  #tell(model: OnnxModel, decision: Decision, status: OnnxModelStatus): void {
    const { name, namespace } = model.metadata;
    this.#deps.logger.info('decision changed', {
      model: name,
      namespace,
      phase: status.phase,
      reason: decision.reason,
      detail: decision.message,
      ...stepPlaceOf(status),
    });
    this.#deps.announce(model, decision);
  }

  /**
   * @returns milliseconds until the next pass; undefined if no pass has to be scheduled. A write that was refused as
   * invalid, or because its name is taken, is tried again after a back-off (RecentWrites, refusedMs). The result is 0
   * after a new refusal or a new difference of a child, which the status does not show yet.
   * @throws all other errors; the work queue retries them with back-off
   */
  async #apply(key: string, seen: Seen, { decision, now, call }: Turn): Promise<number | undefined> {
    const { client, clock, gates } = this.#deps;
    const manifests = [
      ...desiredState(seen.model, decision, recordsToMake(seen)),
      ...orphanedRecords(seen, decision),
      ...(gates?.children(key, seen, decision, now) ?? []),
    ];
    const stamps = this.#stampsOf(key, decision);
    const applied = await apply(
      { client, clock, call, recent: this.#recentOf(key), traffic: this.#trafficOf(key), stamps },
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
    this.#deps.logger.warn('the API server refused a manifest', {
      model: seen.model.metadata.name,
      namespace: seen.model.metadata.namespace,
      err: applied.error,
    });
    return 0;
  }

  /** @returns whether the list differs from the list in the status that was just written */
  #keepTold(key: string, told: readonly string[]): boolean {
    const before = this.#told.get(key) ?? [];
    this.#told.set(key, told);
    return before.join('\n') !== told.join('\n');
  }

  #tellOfDrift(model: OnnxModel, decision: Decision, reverted: string): void {
    const message = `another writer changed the weights of ${reverted}; the operator reverted them`;
    this.#deps.logger.warn('reverted a foreign change of the route', {
      model: model.metadata.name,
      namespace: model.metadata.namespace,
    });
    this.#deps.announce(model, { ...decision, reason: 'WeightDrift', message });
  }

  #trafficOf(key: string): TrafficMemory {
    const traffic = this.#traffic.get(key) ?? new TrafficMemory();
    this.#traffic.set(key, traffic);
    return traffic;
  }

  /**
   * The stamps (manifests with their hashes) of the model's last pass. To save memory, the stamps of a model at rest
   * are not kept: its next pass may be hours later.
   */
  #stampsOf(key: string, { next }: Decision): Stamps {
    const stamps = this.#stamps.get(key) ?? new Stamps();
    if (next.phase === 'Stable' || next.phase === 'Failed') this.#stamps.delete(key);
    else this.#stamps.set(key, stamps);
    return stamps;
  }

  #frozenOf(key: string): FrozenMemory {
    const frozen = this.#frozen.get(key) ?? new Map();
    this.#frozen.set(key, frozen);
    return frozen;
  }

  #recentOf(key: string): RecentWrites {
    const recent = this.#recent.get(key) ?? new RecentWrites(this.#deps.keep);
    this.#recent.set(key, recent);
    return recent;
  }

  #isBehind(key: string, model: OnnxModel): boolean {
    const written = this.#written.get(key);
    if (written === undefined || this.#deps.clock.monotonic() - written.atMs > staleLimitMs) return false;
    return isOlder(model.metadata.resourceVersion, written.version);
  }

  #forget(key: string): void {
    this.#failures.delete(key);
    this.#written.delete(key);
    this.#recent.delete(key);
    this.#traffic.delete(key);
    this.#stamps.delete(key);
    this.#told.delete(key);
    this.#frozen.delete(key);
    this.#statusRefusals.delete(key);
    this.#tokens.forget(key);
    this.#deps.gates?.forget(key);
    this.#deps.measure?.(key, undefined);
    this.#deps.follow(key, undefined, undefined);
  }
}

function hasMoved(before: OnnxModelStatus | undefined, after: OnnxModelStatus): boolean {
  return before?.rollout?.reason !== after.rollout?.reason || before?.phase !== after.phase;
}

/**
 * The records without the record of a held revision. A revision without a record gets no manifests, and its children
 * stay as they are.
 */
function recordsToMake({ held, records }: Seen): Seen['records'] {
  return held === undefined ? records : new Map([...records].filter(([revision]) => revision !== held));
}

/**
 * Manifests for ControllerRevisions that have no owner and belong to revisions that do not run. Applying these
 * manifests restores the owner; without an owner, the garbage collector would never delete the ControllerRevisions.
 */
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
  return before !== undefined && isSameJson(before, after);
}
