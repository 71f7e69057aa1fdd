/**
 * Replays samples of stable's requests on this pod; counts how often the answers agree, and pairs the service times.
 *
 * Limits: one replay at a time, and only while no user request waits. After each replay there is a pause of 99 times
 *         its duration, but at most 60 s. After replays of up to 0.6 s, at most one user request in a hundred meets a
 *         replay, so quantiles up to p99 are not affected.
 * Ends:   `run` returns after `stop`, once a replay in progress has ended.
 * Terms:  stable is the revision that serves; this pod belongs to the candidate. A sample is a request that stable has
 *         answered and kept. Answers agree if the rule's metric is within its limit. The service time is the time of a
 *         request inside the runtime, without the queue.
 */
import { isError } from '../../../api/golden-metrics.ts';
import type { Agreement, PairSource } from '../../../api/report.ts';
import type { Clock } from '../../../lib/clock.ts';
import { decodeEmbeddings } from '../../golden/embeddings.ts';
import { decodeAnswer } from '../../protocol/oip/client.ts';
import { defaultDecodeLimits, type DecodeLimits } from '../../protocol/oip/decode.ts';
import { compareOutputs, meets, worse, type Comparison } from '../../quality/compare.ts';
import type { NamedTensors } from '../../engine/tensor.ts';
import type { AgreementRule } from '../asked.ts';
import type { Answered } from '../../protocol/ask-runtime.ts';
import type { PairNews } from '../../sampling/pair-counts.ts';
import type { Message, Sample, Taken } from '../../sampling/sample.ts';

export type ReplayWork = {
  readonly peers: readonly string[];
  /** Absent: answers are not compared. */
  readonly rule?: AgreementRule;
  /** Pairs of service times are counted under this name (Replay or Shadow); absent: service times are not paired. */
  readonly pairs?: PairSource;
};

export type ReplayerDeps = {
  readonly clock: Clock;
  /** The current work; undefined when the operator did not request a replay, or when this pod is not ready. */
  readonly work: () => ReplayWork | undefined;
  /** Takes samples from a stable pod, which then drops them; undefined when it cannot be reached. Never rejects. */
  readonly take: (peer: string, max: number) => Promise<Taken | undefined>;
  /** Sends the sample's request to this pod's runtime. Never rejects. */
  readonly answer: (sample: Sample) => Promise<Answered>;
  /** Called for every comparison. */
  readonly compared: (comparison: {
    readonly tier: string;
    readonly sizeClass: number;
    readonly agrees: boolean;
  }) => void;
  /** Called for every pair of service times, and for every answered replay that did not give a pair. */
  readonly pairs: PairNews;
};

/** Take only a few samples at a time: a sample that this pod takes is not available to the other candidate pods. */
const takenAtOnce = 2;
const idleMs = 1_000;
const busyPauseMs = 200;
/** How long a replay is retried while user requests keep the runtime busy. */
export const patienceMs = 10_000;
/** Pause after a replay, in multiples of the replay's duration; limited by `minPauseMs` and `maxPauseMs`. */
export const pauseTimes = 99;
const minPauseMs = 50;
const maxPauseMs = 60_000;
const limits: DecodeLimits = { ...defaultDecodeLimits, maxElements: 2 ** 22 };

/** Why a sample was not compared. */
export type Skipped = 'NoSample' | 'Unreachable' | 'TooLarge' | 'Busy' | 'Refused' | 'Unreadable' | 'Unfit';

export class Replayer {
  readonly #deps: ReplayerDeps;
  readonly #skipped = new Map<Skipped, number>();
  #compared = 0;
  #disagreed = 0;
  #worst: number | null = null;
  #asked = false;
  #turn = 0;

  constructor(deps: ReplayerDeps) {
    this.#deps = deps;
  }

  /** Undefined until the operator has requested a comparison. */
  get agreement(): Agreement | undefined {
    return this.#asked
      ? {
          compared: this.#compared,
          disagreed: this.#disagreed,
          skipped: Object.fromEntries(this.#skipped),
          worst: this.#worst,
        }
      : undefined;
  }

  async run(stop: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!stop.aborted) await clock.sleep(await this.#turnOnce(stop), stop);
  }

  /** @returns how long to wait before the next turn, in milliseconds */
  async #turnOnce(stop: AbortSignal): Promise<number> {
    const work = this.#deps.work();
    const peer = work?.peers[this.#turn % work.peers.length];
    this.#turn += 1;
    if (work === undefined || peer === undefined) return idleMs;
    this.#noteAsked(work);
    const taken = await this.#deps.take(peer, takenAtOnce);
    if (taken === undefined) this.#skip('Unreachable');
    else if (taken.samples.length === 0 && taken.tooLarge === 0) this.#skip('NoSample');
    if (taken === undefined) return idleMs;
    this.#skip('TooLarge', taken.tooLarge);
    for (const sample of taken.samples) await this.#replay(sample, work, stop);
    return taken.samples.length === 0 ? idleMs : 0;
  }

  #noteAsked({ rule }: ReplayWork): void {
    this.#asked ||= rule !== undefined;
  }

  async #replay(sample: Sample, work: ReplayWork, stop: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const untilMs = clock.monotonic() + patienceMs;
    for (;;) {
      const beganMs = clock.monotonic();
      const answered = await this.#deps.answer(sample);
      if (answered.kind !== 'unavailable') {
        this.#judge(sample, answered, work);
        const tookMs = clock.monotonic() - beganMs;
        return clock.sleep(Math.min(maxPauseMs, Math.max(minPauseMs, tookMs * pauseTimes)), stop);
      }
      if (clock.monotonic() >= untilMs || stop.aborted) return this.#skip('Busy');
      await clock.sleep(busyPauseMs, stop);
    }
  }

  #judge(sample: Sample, answered: Exclude<Answered, { kind: 'unavailable' }>, { rule, pairs }: ReplayWork): void {
    if (answered.kind === 'refused') return this.#skip('Refused');
    if (pairs !== undefined) this.#pair(sample, answered.serviceMs, pairs);
    if (rule !== undefined) this.#compare(sample, answered, rule);
  }

  /** Service times are only comparable if both runtimes were idle and ran the request alone (beside.ts). */
  #pair({ tier, sizeClass, serviceMs: stable }: Sample, mine: number | undefined, source: PairSource): void {
    const { pairs } = this.#deps;
    if (stable === undefined || mine === undefined) pairs.skipped(stable === undefined ? 'StableNotAlone' : 'NotAlone');
    else pairs.paired({ tier, sizeClass, source, ratio: mine / stable });
  }

  #compare(sample: Sample, answered: Message, { metric, limit }: AgreementRule): void {
    const comparison = compareMessages(sample, answered, metric);
    if (comparison === undefined) return this.#skip('Unreadable');
    if (comparison.kind === 'unfit') return this.#skip('Unfit');
    const { value } = comparison;
    const agrees = meets(value, isError(metric) ? { max: limit } : { min: limit });
    this.#compared += 1;
    if (!agrees) this.#disagreed += 1;
    this.#worst = this.#worst === null ? value : worse(metric, this.#worst, value);
    this.#deps.compared({ tier: sample.tier, sizeClass: sample.sizeClass, agrees });
  }

  #skip(why: Skipped, times = 1): void {
    if (times > 0) this.#skipped.set(why, (this.#skipped.get(why) ?? 0) + times);
  }
}

/** @returns undefined when either answer cannot be decoded */
function compareMessages(sample: Sample, answered: Message, metric: AgreementRule['metric']): Comparison | undefined {
  let want: NamedTensors;
  let got: NamedTensors;
  try {
    want = tensorsOf(sample.path, sample.answer);
    got = tensorsOf(sample.path, answered);
  } catch {
    return undefined;
  }
  return compareOutputs(metric, want, got);
}

/** @throws AppError when the answer cannot be decoded */
function tensorsOf(path: string, { body, jsonBytes }: Message): NamedTensors {
  return path === '/v1/embeddings' ? decodeEmbeddings(body, limits.maxElements) : decodeAnswer(body, jsonBytes, limits);
}
