/**
 * Pulls the reports of pods and keeps the latest of each.
 *
 * Owns:   when which pod is asked for what, and which report is worth a pass of its model: one that changed what status
 *         shows, and during a rollout one with news of blocks. At rest live numbers never are, so a quiet cluster stays
 *         quiet however its memory breathes.
 * Limits: `maxInFlight` requests, each `deadlineMs` long; one report per pod; pods no longer watched are forgotten.
 * Rule:   silence is no information. A pod that does not answer keeps its last report, with its age and the reason beside
 *         it; it is neither failed nor good for that. Whether the pod is ready, the API server says.
 */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { blockSeconds, type Blocks, type Report } from '../api/report.ts';
import type { FetchReport, Pulled, ReportAsk } from './report-client.ts';

/** How often the pods of a model are asked: closely while a revision has to prove itself. */
export type Pace = 'rollout' | 'rest';

export type WatchedPod = {
  readonly uid: string;
  readonly ip: string;
  readonly name: string;
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

export type ReportPullerOptions = { readonly fetch: FetchReport; readonly clock: Clock; readonly logger: Logger };

export const paceMs = { rollout: 5_000, rest: 30_000 } as const satisfies Record<Pace, number>;
/** How soon a ready pod is asked again while its golden run is under way in a rollout. */
const soonMs = 1_500;
export const deadlineMs = 2_000;
export const maxInFlight = 8;
/** Memory is shown rounded up to this share of the limit, so that it changes by steps. */
export const memorySteps = 16;
/** Blocks asked for again: the one that was being counted, and two before it, for clocks that were set back a little. */
const blocksAgain = 2;
/** A clock that is further off than this puts its counts at no time that they could be compared at. */
export const clockToleranceMs = 3_600_000;

type Entry = {
  readonly modelKey: string;
  readonly uid: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly watchedSinceMs: number;
  ip: string;
  ask: Omit<ReportAsk, 'blocksFrom'>;
  pace: Pace;
  /** Monotonic milliseconds of the next pull. */
  dueMs: number;
  inFlight: boolean;
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
  #inFlight = 0;
  #stopTimer: () => void = () => {};

  constructor(options: ReportPullerOptions) {
    this.#fetch = options.fetch;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /**
   * Says which pods a model has now. Pods that are new are asked at once; the model's others are forgotten.
   *
   * @param pods those with an IP; an empty list ends the watch of the model
   */
  watch(modelKey: string, pods: readonly WatchedPod[], pace: Pace): void {
    if (this.#ended.signal.aborted) return;
    const wanted = new Set(pods.map((pod) => pod.uid));
    for (const uid of this.#pods.get(modelKey) ?? []) if (!wanted.has(uid)) this.#entries.delete(uid);
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

  /** Asks a model's pods now, and for their whole rings: for who has lost, or never had, what they told before. */
  hearAnew(modelKey: string): void {
    for (const uid of this.#pods.get(modelKey) ?? []) {
      const entry = this.#entries.get(uid);
      if (entry === undefined) continue;
      delete entry.heard;
      entry.dueMs = this.#clock.monotonic();
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
    this.#entries.clear();
    this.#pods.clear();
    this.#listeners.clear();
    this.#reportListeners.clear();
  }

  #note(modelKey: string, pod: WatchedPod, pace: Pace): void {
    const nowMs = this.#clock.monotonic();
    const entry = this.#entries.get(pod.uid);
    if (entry === undefined) {
      const { uid, ip, name, ask = {} } = pod;
      this.#entries.set(uid, { modelKey, uid, name, watchedSinceMs: this.#clock.now(), ip, ask, pace, dueMs: nowMs, inFlight: false });
      return;
    }
    entry.ip = pod.ip;
    entry.ask = pod.ask ?? {};
    entry.pace = pace;
    // A rollout that begins does not wait for the end of a long pause.
    entry.dueMs = Math.min(entry.dueMs, nowMs + paceMs[pace]);
  }

  /** Begins every pull that is due and has room, then sleeps until the next one is. */
  #pump(): void {
    this.#stopTimer();
    if (this.#ended.signal.aborted) return;
    const nowMs = this.#clock.monotonic();
    let nextMs = Infinity;
    for (const entry of this.#entries.values()) {
      if (entry.inFlight) continue;
      if (entry.dueMs > nowMs) nextMs = Math.min(nextMs, entry.dueMs);
      else if (this.#inFlight < maxInFlight) void this.#pull(entry);
    }
    if (nextMs < Infinity) this.#stopTimer = this.#clock.after(nextMs - nowMs, () => this.#pump());
  }

  async #pull(entry: Entry): Promise<void> {
    entry.inFlight = true;
    this.#inFlight += 1;
    const { heard } = entry;
    const pulled = await this.#ask(entry);
    this.#inFlight -= 1;
    entry.inFlight = false;
    // `hearAnew` came while it was asked: this answer is not from the start.
    const stale = entry.heard !== heard;
    // The pod may have gone, or another begun in its name, while it was asked.
    if (this.#entries.get(entry.uid) === entry) this.#keep(entry, pulled);
    if (stale) delete entry.heard;
    entry.dueMs = this.#clock.monotonic() + (stale ? 0 : pauseMs(entry));
    this.#pump();
  }

  async #ask({ ip, ask, heard }: Entry): Promise<Pulled> {
    const wanted = heard === undefined ? ask : { ...ask, blocksFrom: Math.max(0, heard.until - blocksAgain) };
    const deadline = new AbortController();
    const cancel = this.#clock.after(deadlineMs, () => deadline.abort(new Error(`no answer within ${deadlineMs} ms`)));
    try {
      return await this.#fetch(ip, AbortSignal.any([deadline.signal, this.#ended.signal]), wanted);
    } finally {
      cancel();
    }
  }

  #keep(entry: Entry, pulled: Pulled): void {
    if (pulled.kind === 'nothing') {
      if (entry.silence !== pulled.reason) this.#logger.debug('report missing', { model: entry.modelKey, podUid: entry.uid, reason: pulled.reason });
      entry.silence = pulled.reason;
      if (entry.latest !== undefined) entry.latest = { ...entry.latest, silence: pulled.reason };
      return;
    }
    const { report } = pulled;
    const before = entry.latest?.report;
    delete entry.silence;
    entry.latest = { report, receivedAtMs: this.#clock.now() };
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
    const news = heard.bootId !== entry.heard?.bootId || heard.until !== entry.heard.until || heard.seq !== entry.heard.seq;
    // The request said from where another boot had been heard; the next one asks from the start.
    if (entry.heard === undefined || entry.heard.bootId === bootId) entry.heard = heard;
    else delete entry.heard;
    for (const listener of this.#reportListeners) listener(entry.modelKey, entry.name, report);
    return news;
  }
}

function heardIn(bootId: string, { until, counts }: Blocks, before: Heard | undefined): Heard {
  const seq = counts.reduce((highest, block) => Math.max(highest, block.seq), before?.bootId === bootId ? before.seq : 0);
  return { bootId, until, seq };
}

/** A pod that has not said that it is ready is about to say something new, whatever its model is at. */
function pauseMs({ pace, latest }: Entry): number {
  if (latest?.report.ready !== true || latest.silence !== undefined) return paceMs.rollout;
  return pace === 'rollout' && isAnswering(latest.report) ? soonMs : paceMs[pace];
}

/** Its golden run takes a second or two, and a rollout waits for nothing else. */
function isAnswering({ golden }: Report): boolean {
  return golden?.state === 'Waiting' || golden?.state === 'Running';
}

/** Peak memory rounded up to a sixteenth of the limit, in bytes; undefined when there is no limit to take a share of. */
export function memoryPeakStep(report: Report): number | undefined {
  const limitBytes = report.memory?.limitBytes;
  if (report.memory === undefined || limitBytes === undefined || limitBytes === null || limitBytes === 0) return undefined;
  const stepBytes = limitBytes / memorySteps;
  return Math.ceil(report.memory.peakBytes / stepBytes) * stepBytes;
}

/** What status shows of a report, or a decision waits for, as one string to compare. */
function shownOf(report: Report): string {
  return JSON.stringify([
    report.revision,
    report.ready,
    report.model?.digest,
    report.model?.precision,
    report.providers?.requested,
    report.providers?.actual.map((use) => use.provider),
    report.memory?.limitBytes,
    memoryPeakStep(report),
    // What is to be known before a candidate gets traffic.
    report.golden?.id,
    report.golden?.state,
    // Done twice: stable was named after the first time.
    report.golden?.score,
  ]);
}
