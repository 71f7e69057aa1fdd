/**
 * Pulls the reports of pods and keeps the latest report of each pod, without its counts.
 *
 * Terms: A pull is one request to a pod for its report. A report has counts in blocks of 20 seconds; `seq` increases
 * with every change of a block. A boot is one run of the pod's runtime, with a `bootId`. A silent pod is a pod whose
 * last pull gave no report.
 * Owns: when a report triggers a pass of its model: when the report changes the status, or has new blocks during a
 * rollout. When a pod does not answer, its last report is kept together with the reason of the silence; the pod does
 * not count as failed.
 * Limits: `pullLimits`, and `deadlineMs` for a request.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Registry } from '../../lib/metrics.ts';
import { blockSeconds, type Blocks, type Report } from '../../api/report.ts';
import type { FetchReport, Pulled, ReportAsk } from './report-client.ts';
import { measurePulls, pullOutcomeOf, type PullOutcome } from './pull-metrics.ts';
import { shownOf, withoutCounts } from './kept-report.ts';
import { nextPullMs, type PullPace } from './pace.ts';
import { PullSchedule, type PullLimits, type PullTurn } from './schedule.ts';

export type WatchedPod = {
  readonly uid: string;
  readonly ip: string;
  readonly name: string;
  /** Whether the pod's condition Ready is True in the API. If absent, the pod counts as ready. */
  readonly isReady?: boolean;
  /** Number of restarts of the pod's containers. A restart resets the back-off. */
  readonly restarts?: number;
  /** Instructions for the pod's sidecar; the puller adds `blocksFrom`. If absent, the sidecar only reports. */
  readonly ask?: Omit<ReportAsk, 'blocksFrom'>;
};

/**
 * Called for every report with blocks, even if no block is new, before the report triggers a pass (the operator's work
 * for its model).
 */
export type ReportListener = (modelKey: string, podName: string, report: Report) => void;

/** What is new in a report that triggers a pass. */
export type ReportNews = {
  /** Whether the status shows a change. Otherwise only counts are new. */
  readonly isOfStatus: boolean;
  /**
   * The highest `seq` of the blocks in earlier reports of this boot; only blocks with a higher `seq` are new. 0 if
   * there is none, or after `hearAnew`.
   */
  readonly afterSeq: number;
  /** When the first pod of the model was first pulled, in monotonic milliseconds. */
  readonly firstPullMs: number;
};
export type ChangeListener = (modelKey: string, report: Report, news: ReportNews) => void;

export type PulledReport = {
  readonly report: Report;
  /** Milliseconds since the epoch. */
  readonly receivedAtMs: number;
  /** Why the last pull did not give a report; absent when the pod answered. */
  readonly silence?: string;
};

/** @property registry if absent, there are no metrics */
export type ReportPullerDeps = {
  readonly fetch: FetchReport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: Registry;
};

export const deadlineMs = 2_000;
/**
 * Limits of concurrent pulls. A pull of a healthy pod takes a few milliseconds, so 8 concurrent pulls in a namespace
 * are enough for rollouts with a thousand pods.
 */
export const pullLimits: PullLimits = {
  slots: 32,
  unheardSlots: 24,
  namespaceSlots: 8,
  namespaceUnheardSlots: 4,
  pullMs: deadlineMs,
};
/**
 * A pull requests the last block again, which was incomplete, and two blocks before it, because the pod's clock may be
 * set back.
 */
const blocksAgain = 2;
/**
 * Blocks of a pod whose clock differs from the operator's by more than this are ignored, because they cannot be
 * compared.
 */
export const clockToleranceMs = 3_600_000;

type Entry = {
  readonly modelKey: string;
  readonly uid: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly watchedSinceMs: number;
  /** When the pod was first watched or last restarted, in monotonic milliseconds. */
  bornMs: number;
  ip: string;
  ask: Omit<ReportAsk, 'blocksFrom'>;
  isReady: boolean;
  restarts: number;
  pace: PullPace;
  /** Number of pulls without an answer since the last answer or restart. */
  misses: number;
  latest?: PulledReport;
  silence?: string;
  /** The position up to which this pod's blocks were received. If absent, the next pull requests all blocks. */
  heard?: Heard;
};

/**
 * `until`: the last block of the last report. `seq`: the highest `seq` of the blocks in all reports of boot `bootId`.
 */
type Heard = { readonly bootId: string; readonly until: number; readonly seq: number };

export class ReportPuller {
  readonly #fetch: FetchReport;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  /**
   * Model key → uids of its pods, so that the cost of `watch` depends only on the model's own pods, and the monotonic
   * time at which the first of them was first pulled.
   */
  readonly #models = new Map<string, { readonly uids: ReadonlySet<string>; readonly firstPullMs: number }>();
  readonly #listeners = new Set<ChangeListener>();
  readonly #reportListeners = new Set<ReportListener>();
  readonly #ended = new AbortController();
  /** The pulls in progress. */
  readonly #pulls = new Set<AbortController>();
  readonly #schedule = new PullSchedule(pullLimits);
  readonly #count: (outcome: PullOutcome) => void;
  #stopTimer: () => void = () => {};

  constructor(deps: ReportPullerDeps) {
    this.#fetch = deps.fetch;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#count = measurePulls(deps.registry, {
      watched: () => this.#entries.size,
      silent: () => [...this.#entries.values()].filter(({ silence }) => silence !== undefined).length,
      lagSeconds: () => this.#schedule.lagMs(this.#clock.monotonic()) / 1000,
    });
  }

  /**
   * Sets the pods of a model. New pods are pulled at once; pods that are not in the list are forgotten.
   *
   * @param pods the pods with an IP address; an empty list ends the watch of the model
   */
  watch(modelKey: string, pods: readonly WatchedPod[], pace: PullPace): void {
    if (this.#ended.signal.aborted) return;
    const wanted = new Set(pods.map((pod) => pod.uid));
    const before = this.#models.get(modelKey);
    for (const uid of before?.uids ?? []) if (!wanted.has(uid)) this.#forget(uid);
    if (wanted.size === 0) this.#models.delete(modelKey);
    else this.#models.set(modelKey, { uids: wanted, firstPullMs: before?.firstPullMs ?? this.#clock.monotonic() });
    for (const pod of pods) this.#note(modelKey, pod, pace);
    this.#pump();
  }

  /** The latest report of a pod; undefined when the pod has never answered. */
  latest(uid: string): PulledReport | undefined {
    return this.#entries.get(uid)?.latest;
  }

  /**
   * Why the last pull of a pod did not give a report; undefined when the last pull gave a report, or before the first
   * pull.
   */
  silence(uid: string): string | undefined {
    return this.#entries.get(uid)?.silence;
  }

  /**
   * The time of a pod's last report, or the start of its watch if the pod never answered, in milliseconds since the
   * epoch; undefined when the pod is not watched.
   */
  heardAtMs(uid: string): number | undefined {
    const entry = this.#entries.get(uid);
    return entry?.latest?.receivedAtMs ?? entry?.watchedSinceMs;
  }

  /**
   * Requests all blocks of a model's pods again at once, for a caller that does not have the earlier blocks. Silent
   * pods keep their back-off.
   */
  hearAnew(modelKey: string): void {
    for (const uid of this.#models.get(modelKey)?.uids ?? []) {
      const entry = this.#entries.get(uid);
      if (entry === undefined) continue;
      delete entry.heard;
      if (entry.misses === 0) this.#schedule.hasten(uid, this.#clock.monotonic());
    }
    this.#pump();
  }

  /** @returns a function that removes the listener */
  onReport(listener: ReportListener): () => void {
    this.#reportListeners.add(listener);
    return () => this.#reportListeners.delete(listener);
  }

  /**
   * @param listener gets the model's key when a report changes the status, or has new blocks during a rollout
   * @returns a function that removes the listener
   */
  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends all pulls and watches. */
  close(): void {
    this.#ended.abort(new Error('the operator is ending'));
    for (const pull of this.#pulls) pull.abort(this.#ended.signal.reason);
    this.#stopTimer();
    for (const uid of this.#entries.keys()) this.#forget(uid);
    this.#models.clear();
    this.#listeners.clear();
    this.#reportListeners.clear();
  }

  #note(modelKey: string, { uid, ip, name, ask = {}, isReady = true, restarts = 0 }: WatchedPod, pace: PullPace): void {
    const nowMs = this.#clock.monotonic();
    const entry = this.#entries.get(uid);
    if (entry !== undefined) {
      this.#renew(entry, { ip, ask, isReady, restarts, pace }, nowMs);
      return;
    }
    this.#entries.set(uid, {
      modelKey,
      uid,
      name,
      watchedSinceMs: this.#clock.now(),
      bornMs: nowMs,
      ip,
      ask,
      isReady,
      restarts,
      pace,
      misses: 0,
    });
    this.#schedule.add(uid, modelKey, nowMs);
  }

  #renew(entry: Entry, facts: Pick<Entry, 'ip' | 'ask' | 'isReady' | 'restarts' | 'pace'>, nowMs: number): void {
    // At the start of a rollout, the pod's next pull must not wait for the long pause of a model at rest.
    const isSooner = facts.pace === 'rollout' && entry.pace !== 'rollout';
    const isAnew = facts.restarts !== entry.restarts || facts.ip !== entry.ip || (facts.isReady && !entry.isReady);
    Object.assign(entry, facts);
    if (isAnew) this.#beginAnew(entry, nowMs);
    else if (isSooner) this.#schedule.hasten(entry.uid, this.#nextMs(entry, nowMs));
  }

  /**
   * Called when the pod restarted, became ready or changed its address: pulls the pod at once and resets its back-off.
   */
  #beginAnew(entry: Entry, nowMs: number): void {
    entry.bornMs = nowMs;
    const wasSilent = entry.misses > 0;
    entry.misses = 0;
    this.#schedule.hasten(entry.uid, nowMs, wasSilent ? 'new' : undefined);
  }

  #forget(uid: string): void {
    this.#entries.delete(uid);
    this.#schedule.remove(uid, this.#clock.monotonic());
  }

  /** Starts the pulls that are due and have a slot, then sets a timer for the next pull. */
  #pump(): void {
    this.#stopTimer();
    if (this.#ended.signal.aborted) return;
    const nowMs = this.#clock.monotonic();
    for (let turn = this.#schedule.take(nowMs); turn !== undefined; turn = this.#schedule.take(nowMs)) {
      const entry = this.#entries.get(turn.uid);
      if (entry !== undefined) void this.#pull(entry, turn);
    }
    const nextMs = this.#schedule.nextMs();
    if (nextMs < Infinity) this.#stopTimer = this.#clock.after(nextMs - nowMs, () => this.#pump());
  }

  async #pull(entry: Entry, turn: PullTurn): Promise<void> {
    const { heard, restarts } = entry;
    const begunMs = this.#clock.monotonic();
    const pulled = await this.#ask(entry);
    const nowMs = this.#clock.monotonic();
    // If `hearAnew` was called during the pull, this answer does not have all blocks, so pull again.
    const stale = entry.heard !== heard;
    // If the pull failed and the pod restarted during the pull, the failure belongs to the previous boot, so pull
    // again.
    const isPast = pulled.kind === 'nothing' && entry.restarts !== restarts;
    // The pod may have been removed during the pull, or removed and added again as a new entry.
    if (this.#entries.get(entry.uid) === entry) this.#keep(entry, pulled);
    if (stale) delete entry.heard;
    if (isPast) entry.misses = 0;
    const isSoon = isPast || (stale && pulled.kind === 'report');
    const dueMs = isSoon ? nowMs : this.#nextMs(entry, nowMs);
    this.#schedule.done(turn, {
      nowMs,
      spentMs: nowMs - begunMs,
      dueMs,
      lane: isPast ? 'new' : entry.misses > 0 ? 'silent' : 'heard',
    });
    this.#pump();
  }

  #nextMs({ modelKey, pace, isReady, misses, bornMs, latest }: Entry, nowMs: number): number {
    const pod = { pace, isReady, misses, ageMs: nowMs - bornMs, report: latest?.report };
    return nextPullMs(this.#firstPullMs(modelKey), pod, nowMs);
  }

  /** 0 for a model without watched pods, whose moments do not matter. */
  #firstPullMs(modelKey: string): number {
    return this.#models.get(modelKey)?.firstPullMs ?? 0;
  }

  async #ask({ ip, ask, heard }: Entry): Promise<Pulled> {
    const wanted = heard === undefined ? ask : { ...ask, blocksFrom: Math.max(0, heard.until - blocksAgain) };
    // `close` aborts this controller. A signal from AbortSignal.any would cost more than the rest of the request.
    const pull = new AbortController();
    this.#pulls.add(pull);
    const cancel = this.#clock.after(deadlineMs, () => pull.abort(new Error(`no answer within ${deadlineMs} ms`)));
    try {
      const pulled = await this.#fetch(ip, pull.signal, wanted);
      if (!this.#ended.signal.aborted) this.#count(pullOutcomeOf(pulled, pull.signal.aborted));
      return pulled;
    } finally {
      this.#pulls.delete(pull);
      cancel();
    }
  }

  #keep(entry: Entry, pulled: Pulled): void {
    if (pulled.kind === 'nothing') {
      this.#keepSilence(entry, pulled.reason);
      return;
    }
    const { report } = pulled;
    const { latest, heard } = entry;
    const before = latest?.report;
    entry.misses = 0;
    delete entry.silence;
    entry.latest = { report: withoutCounts(report), receivedAtMs: this.#clock.now() };
    const isNew = this.#hearBlocks(entry, report);
    const same = before !== undefined && shownOf(before) === shownOf(report);
    if (same && !(isNew && entry.pace === 'rollout')) return;
    const afterSeq = heard?.bootId === report.bootId ? heard.seq : 0;
    const news = { isOfStatus: !same, afterSeq, firstPullMs: this.#firstPullMs(entry.modelKey) };
    for (const listener of this.#listeners) listener(entry.modelKey, report, news);
  }

  #keepSilence(entry: Entry, reason: string): void {
    if (entry.silence !== reason)
      this.#logger.debug('report missing', { model: entry.modelKey, podUid: entry.uid, reason });
    entry.misses += 1;
    entry.silence = reason;
    if (entry.latest !== undefined) entry.latest = { ...entry.latest, silence: reason };
  }

  /** @returns whether the report has new blocks or new counts */
  #hearBlocks(entry: Entry, report: Report): boolean {
    const { blocks, bootId } = report;
    if (blocks === undefined) return false;
    const offMs = blocks.until * blockSeconds * 1000 - this.#clock.now();
    if (Math.abs(offMs) > clockToleranceMs) {
      this.#logger.debug("ignoring blocks: the pod's clock differs too much", {
        model: entry.modelKey,
        podUid: entry.uid,
        offMs,
      });
      return false;
    }
    const heard = heardIn(bootId, blocks, entry.heard);
    const news =
      heard.bootId !== entry.heard?.bootId || heard.until !== entry.heard.until || heard.seq !== entry.heard.seq;
    // If the report is from a new boot, `blocksFrom` of this request was meant for the previous boot, so the next
    // request asks for all blocks.
    if (entry.heard === undefined || entry.heard.bootId === bootId) entry.heard = heard;
    else delete entry.heard;
    for (const listener of this.#reportListeners) listener(entry.modelKey, entry.name, report);
    return news;
  }
}

function heardIn(bootId: string, { until, counts }: Blocks, before: Heard | undefined): Heard {
  const seq = counts.reduce(
    (highest, block) => Math.max(highest, block.seq),
    before?.bootId === bootId ? before.seq : 0,
  );
  return { bootId, until, seq };
}
