/**
 * Pulls the reports of pods and keeps the latest of each.
 *
 * Owns:   when which pod is asked, and which change of a report is worth a pass of its model: one that status shows. Live
 *         numbers never are, so a quiet cluster stays quiet however its memory breathes.
 * Limits: `maxInFlight` requests, each `deadlineMs` long; one report per pod; pods no longer watched are forgotten.
 * Rule:   silence is no information. A pod that does not answer keeps its last report, with its age and the reason beside
 *         it; it is neither failed nor good for that. Whether the pod is ready, the API server says.
 */
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Report } from '../api/report.ts';
import type { FetchReport, Pulled } from './report-client.ts';

/** How often the pods of a model are asked: closely while a revision has to prove itself. */
export type Pace = 'rollout' | 'rest';

export type WatchedPod = { readonly uid: string; readonly ip: string };

export type PulledReport = {
  readonly report: Report;
  /** Milliseconds since the epoch. */
  readonly receivedAtMs: number;
  /** Why the pod was silent when it was asked last; absent when it answered. */
  readonly silence?: string;
};

export type ReportPullerOptions = { readonly fetch: FetchReport; readonly clock: Clock; readonly logger: Logger };

export const paceMs = { rollout: 5_000, rest: 30_000 } as const satisfies Record<Pace, number>;
export const deadlineMs = 2_000;
export const maxInFlight = 8;
/** Memory is shown rounded up to this share of the limit, so that it changes by steps. */
export const memorySteps = 16;

type Entry = {
  readonly modelKey: string;
  readonly uid: string;
  ip: string;
  pace: Pace;
  /** Monotonic milliseconds of the next pull. */
  dueMs: number;
  inFlight: boolean;
  latest?: PulledReport;
  silence?: string;
};

export class ReportPuller {
  readonly #fetch: FetchReport;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  /** Model key → uids of its pods, so that a model that is asked about every second costs only its own pods. */
  readonly #pods = new Map<string, ReadonlySet<string>>();
  readonly #listeners = new Set<(modelKey: string) => void>();
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

  /** @param listener gets the model's key when a report changed in what status shows. @returns ends it */
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
  }

  #note(modelKey: string, pod: WatchedPod, pace: Pace): void {
    const nowMs = this.#clock.monotonic();
    const entry = this.#entries.get(pod.uid);
    if (entry === undefined) {
      this.#entries.set(pod.uid, { modelKey, uid: pod.uid, ip: pod.ip, pace, dueMs: nowMs, inFlight: false });
      return;
    }
    entry.ip = pod.ip;
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
    const pulled = await this.#ask(entry.ip);
    this.#inFlight -= 1;
    entry.inFlight = false;
    // The pod may have gone, or another begun in its name, while it was asked.
    if (this.#entries.get(entry.uid) === entry) this.#keep(entry, pulled);
    entry.dueMs = this.#clock.monotonic() + pauseMs(entry);
    this.#pump();
  }

  async #ask(ip: string): Promise<Pulled> {
    const deadline = new AbortController();
    const cancel = this.#clock.after(deadlineMs, () => deadline.abort(new Error(`no answer within ${deadlineMs} ms`)));
    try {
      return await this.#fetch(ip, AbortSignal.any([deadline.signal, this.#ended.signal]));
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
    const before = entry.latest?.report;
    delete entry.silence;
    entry.latest = { report: pulled.report, receivedAtMs: this.#clock.now() };
    if (before !== undefined && shownOf(before) === shownOf(pulled.report)) return;
    for (const listener of this.#listeners) listener(entry.modelKey);
  }
}

/** A pod that has not said that it is ready is about to say something new, whatever its model is at. */
function pauseMs({ pace, latest }: Entry): number {
  return latest?.report.ready === true && latest.silence === undefined ? paceMs[pace] : paceMs.rollout;
}

/** Peak memory rounded up to a sixteenth of the limit, in bytes; undefined when there is no limit to take a share of. */
export function memoryPeakStep(report: Report): number | undefined {
  const limitBytes = report.memory?.limitBytes;
  if (report.memory === undefined || limitBytes === undefined || limitBytes === null || limitBytes === 0) return undefined;
  const stepBytes = limitBytes / memorySteps;
  return Math.ceil(report.memory.peakBytes / stepBytes) * stepBytes;
}

/** What status shows of a report, as one string to compare. */
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
  ]);
}
