/**
 * Pulls the reports of pods and keeps the latest of each.
 *
 * Owns:   what a pod is asked for, and which report is worth a pass of its model: one that changed what status shows,
 *         and during a rollout one with news of blocks. At rest live numbers never are, so a quiet cluster stays quiet
 *         however its memory breathes. When a pod is asked: operator/reports/schedule.ts, which is fair, and pace.ts.
 * Limits: `pullLimits`, `deadlineMs` a request; of a report without its counts, one a pod; pods no longer watched are
 *         forgotten.
 * Rule:   silence is no information. A pod that does not answer keeps its last report, with its age and the reason
 *         beside it; it is neither failed nor good for that. Whether the pod is ready, the API server says.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Registry } from '../../lib/metrics.ts';
import { blockSeconds, type Blocks, type Report } from '../../api/report.ts';
import type { FetchReport, Pulled, ReportAsk } from './report-client.ts';
import { shownOf, withoutCounts } from './kept-report.ts';
import { pauseMs, type PullPace } from './pace.ts';
import { measurePulls, pullOutcomeOf, type PullOutcome } from './pull-metrics.ts';
import { PullSchedule, type PullLimits, type PullTurn } from './schedule.ts';

export type WatchedPod = {
  readonly uid: string;
  readonly ip: string;
  readonly name: string;
  /** By its condition in the API; absent: it is. */
  readonly isReady?: boolean;
  /** How often its containers have restarted. After a restart its silence before counts no more. */
  readonly restarts?: number;
  /** What its sidecar is to do; `blocksFrom` is the puller's own to say. Absent: nothing beside reporting. */
  readonly ask?: Omit<ReportAsk, 'blocksFrom'>;
};

/** Hears every report that came with blocks, also when nothing in it is new, before any pass is asked for. */
export type ReportListener = (modelKey: string, podName: string, report: Report) => void;

export type PulledReport = {
  readonly report: Report;
  /** Milliseconds since the epoch. */
  readonly receivedAtMs: number;
  /** Why the pod was silent when it was asked last; absent when it answered. */
  readonly silence?: string;
};

/** @property registry where pulls are counted; absent: nowhere */
export type ReportPullerOptions = {
  readonly fetch: FetchReport;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: Registry;
};

export const deadlineMs = 2_000;
/** Pulls of pods that answer take milliseconds: a namespace's slots are enough for a thousand pods in a rollout. */
export const pullLimits: PullLimits = {
  slots: 32,
  unheardSlots: 24,
  namespaceSlots: 8,
  namespaceUnheardSlots: 4,
  pullMs: deadlineMs,
};
/**
 * Blocks asked for again: the one that was being counted, and two before it, for clocks that were set back a little.
 */
const blocksAgain = 2;
/** A clock that is further off than this puts its counts at no time that they could be compared at. */
export const clockToleranceMs = 3_600_000;

type Entry = {
  readonly modelKey: string;
  readonly uid: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly watchedSinceMs: number;
  /** Monotonic milliseconds: since when it is watched, or has restarted. */
  bornMs: number;
  ip: string;
  ask: Omit<ReportAsk, 'blocksFrom'>;
  isReady: boolean;
  restarts: number;
  pace: PullPace;
  /** Pulls without an answer since the last answer or restart. */
  misses: number;
  latest?: PulledReport;
  silence?: string;
  /** Up to which block of which boot this pod has told, and the highest number of a change. */
  heard?: Heard;
};

type Heard = { readonly bootId: string; readonly until: number; readonly seq: number };

export class ReportPuller {
  readonly #fetch: FetchReport;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  /** Model key → uids of its pods, so that a model that is asked about every second costs only its own pods. */
  readonly #pods = new Map<string, ReadonlySet<string>>();
  readonly #listeners = new Set<(modelKey: string) => void>();
  readonly #reportListeners = new Set<ReportListener>();
  readonly #ended = new AbortController();
  readonly #schedule = new PullSchedule(pullLimits);
  readonly #count: (outcome: PullOutcome) => void;
  #stopTimer: () => void = () => {};

  constructor(options: ReportPullerOptions) {
    this.#fetch = options.fetch;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#count = measurePulls(options.registry, {
      watched: () => this.#entries.size,
      silent: () => [...this.#entries.values()].filter(({ silence }) => silence !== undefined).length,
      lagSeconds: () => this.#schedule.lagMs(this.#clock.monotonic()) / 1000,
    });
  }

  /**
   * Says which pods a model has now. Pods that are new are asked at once; the model's others are forgotten.
   *
   * @param pods those with an IP; an empty list ends the watch of the model
   */
  watch(modelKey: string, pods: readonly WatchedPod[], pace: PullPace): void {
    if (this.#ended.signal.aborted) return;
    const wanted = new Set(pods.map((pod) => pod.uid));
    for (const uid of this.#pods.get(modelKey) ?? []) if (!wanted.has(uid)) this.#forget(uid);
    if (wanted.size === 0) this.#pods.delete(modelKey);
    else this.#pods.set(modelKey, wanted);
    for (const pod of pods) this.#note(modelKey, pod, pace);
    this.#pump();
  }

  /** The latest report of a pod; undefined when none was ever had: no information. */
  latest(uid: string): PulledReport | undefined {
    return this.#entries.get(uid)?.latest;
  }

  /** Why a watched pod gave no report when it was asked last; undefined when it did, or was not asked yet. */
  silence(uid: string): string | undefined {
    return this.#entries.get(uid)?.silence;
  }

  /**
   * When a watched pod was heard last; of one that never answered, since when it is watched. Milliseconds since the
   * epoch; undefined when it is not watched.
   */
  heardAtMs(uid: string): number | undefined {
    const entry = this.#entries.get(uid);
    return entry?.latest?.receivedAtMs ?? entry?.watchedSinceMs;
  }

  /**
   * Asks a model's pods now, and for their whole rings: for who has lost, or never had, what they told before. Pods
   * that do not answer are asked when their turn comes.
   */
  hearAnew(modelKey: string): void {
    for (const uid of this.#pods.get(modelKey) ?? []) {
      const entry = this.#entries.get(uid);
      if (entry === undefined) continue;
      delete entry.heard;
      if (entry.misses === 0) this.#schedule.hasten(uid, this.#clock.monotonic());
    }
    this.#pump();
  }

  /** @returns ends it */
  onReport(listener: ReportListener): () => void {
    this.#reportListeners.add(listener);
    return () => this.#reportListeners.delete(listener);
  }

  /**
   * @param listener gets the model's key when a report changed what status shows, or has news of blocks while the model
   *                 is followed at the pace of a rollout. @returns ends it
   */
  onChange(listener: (modelKey: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends every pull. Nothing is watched any more. */
  close(): void {
    this.#ended.abort(new Error('the operator is ending'));
    this.#stopTimer();
    for (const uid of this.#entries.keys()) this.#forget(uid);
    this.#pods.clear();
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
    // A rollout that begins does not wait for the end of a long pause.
    const isSooner = facts.pace === 'rollout' && entry.pace !== 'rollout';
    const isAnew = facts.restarts !== entry.restarts || facts.ip !== entry.ip || (facts.isReady && !entry.isReady);
    Object.assign(entry, facts);
    if (isAnew) this.#beginAnew(entry, nowMs);
    else if (isSooner) this.#schedule.hasten(entry.uid, nowMs + this.#pauseMs(entry, nowMs));
  }

  /** The pod has restarted or has become ready: it is asked at once, and is not silent before it was. */
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

  /** Begins every pull that is due and has a slot, then sleeps until the next one is due. */
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
    // `hearAnew` came while it was asked: this answer is not from the start.
    const stale = entry.heard !== heard;
    // It restarted while it was asked: the silence is that of the boot before.
    const isPast = pulled.kind === 'nothing' && entry.restarts !== restarts;
    // The pod may have gone, or another begun in its name, while it was asked.
    if (this.#entries.get(entry.uid) === entry) this.#keep(entry, pulled);
    if (stale) delete entry.heard;
    if (isPast) entry.misses = 0;
    const isSoon = isPast || (stale && pulled.kind === 'report');
    const dueMs = nowMs + (isSoon ? 0 : this.#pauseMs(entry, nowMs));
    this.#schedule.done(turn, {
      nowMs,
      spentMs: nowMs - begunMs,
      dueMs,
      lane: isPast ? 'new' : entry.misses > 0 ? 'silent' : 'heard',
    });
    this.#pump();
  }

  #pauseMs({ pace, isReady, misses, bornMs, latest }: Entry, nowMs: number): number {
    return pauseMs({ pace, isReady, misses, ageMs: nowMs - bornMs, report: latest?.report });
  }

  async #ask({ ip, ask, heard }: Entry): Promise<Pulled> {
    const wanted = heard === undefined ? ask : { ...ask, blocksFrom: Math.max(0, heard.until - blocksAgain) };
    const deadline = new AbortController();
    const cancel = this.#clock.after(deadlineMs, () => deadline.abort(new Error(`no answer within ${deadlineMs} ms`)));
    try {
      const pulled = await this.#fetch(ip, AbortSignal.any([deadline.signal, this.#ended.signal]), wanted);
      if (!this.#ended.signal.aborted) this.#count(pullOutcomeOf(pulled, deadline.signal.aborted));
      return pulled;
    } finally {
      cancel();
    }
  }

  #keep(entry: Entry, pulled: Pulled): void {
    if (pulled.kind === 'nothing') {
      if (entry.silence !== pulled.reason)
        this.#logger.debug('report missing', { model: entry.modelKey, podUid: entry.uid, reason: pulled.reason });
      entry.misses += 1;
      entry.silence = pulled.reason;
      if (entry.latest !== undefined) entry.latest = { ...entry.latest, silence: pulled.reason };
      return;
    }
    const { report } = pulled;
    const before = entry.latest?.report;
    entry.misses = 0;
    delete entry.silence;
    entry.latest = { report: withoutCounts(report), receivedAtMs: this.#clock.now() };
    const news = this.#hearBlocks(entry, report);
    const same = before !== undefined && shownOf(before) === shownOf(report);
    if (same && !(news && entry.pace === 'rollout')) return;
    for (const listener of this.#listeners) listener(entry.modelKey);
  }

  /** @returns whether there is anything in the blocks that was not heard before */
  #hearBlocks(entry: Entry, report: Report): boolean {
    const { blocks, bootId } = report;
    if (blocks === undefined) return false;
    const offMs = blocks.until * blockSeconds * 1000 - this.#clock.now();
    if (Math.abs(offMs) > clockToleranceMs) {
      this.#logger.debug('blocks of a clock that is off', { model: entry.modelKey, podUid: entry.uid, offMs });
      return false;
    }
    const heard = heardIn(bootId, blocks, entry.heard);
    const news =
      heard.bootId !== entry.heard?.bootId || heard.until !== entry.heard.until || heard.seq !== entry.heard.seq;
    // The request said from where another boot had been heard; the next one asks from the start.
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
