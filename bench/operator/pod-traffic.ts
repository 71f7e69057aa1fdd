/**
 * The counts of one pod's sidecar: requests in blocks of 20 s, drawn at random as time passes.
 * Owns: the blocks of one pod. The same seed, with calls at the same times, gives the same counts.
 * Limits: it keeps the last 90 blocks, as a sidecar does.
 */
import { blockAt, blockSeconds, type BlockCount, type Blocks } from '../../api/report.ts';
import type { Random } from '../canary/random.ts';

export type TrafficRate = {
  readonly perMinute: number;
  /** Share of requests that fail, 0 to 1. */
  readonly failing: number;
};

type Block = {
  readonly index: number;
  seq: number;
  ok: number;
  failed: number;
  readonly latency: Record<string, number>;
};

const blockMs = blockSeconds * 1000;
const keptBlocks = 90;
/** Median of the latencies, in seconds. The latencies are log-normal. */
const medianSeconds = 0.02;
const spread = 0.5;
const scale = { base: 1e-4, growth: 1.02 } as const;

export class PodTraffic {
  readonly #random: Random;
  readonly #blocks = new Map<number, Block>();
  readonly #since: number;
  #untilMs: number;
  #seq = 0;

  constructor(random: Random, nowMs: number) {
    this.#random = random;
    this.#since = blockAt(nowMs);
    this.#untilMs = nowMs;
  }

  get seq(): number {
    return this.#seq;
  }

  /** Adds random requests for the time since the last call. @param nowMs milliseconds since the epoch */
  advance(nowMs: number, rate: TrafficRate): void {
    while (this.#untilMs < nowMs) {
      const index = blockAt(this.#untilMs);
      const endMs = Math.min(nowMs, (index + 1) * blockMs);
      this.#count(index, this.#random.poisson((rate.perMinute * (endMs - this.#untilMs)) / 60_000), rate.failing);
      this.#untilMs = endMs;
    }
    for (const index of this.#blocks.keys()) if (index <= blockAt(nowMs) - keptBlocks) this.#blocks.delete(index);
  }

  /** Returns the counts of the blocks that are still kept. @param from the first block that the caller wants */
  blocks(from: number): Blocks {
    const until = blockAt(this.#untilMs);
    const since = Math.min(until, Math.max(this.#since, from, until - keptBlocks + 1));
    const wanted = [...this.#blocks.values()].filter(({ index }) => index >= since && index <= until);
    return { since, until, counts: wanted.map(countOfBlock) };
  }

  #count(index: number, requests: number, failing: number): void {
    if (requests === 0) return;
    const block = this.#blocks.get(index) ?? { index, seq: 0, ok: 0, failed: 0, latency: {} };
    const failed = Math.min(requests, this.#random.poisson(requests * failing));
    for (let i = failed; i < requests; i += 1) {
      const seconds = medianSeconds * Math.exp(spread * this.#random.normal());
      const bucket = Math.ceil(Math.log(seconds / scale.base) / Math.log(scale.growth));
      block.latency[bucket] = (block.latency[bucket] ?? 0) + 1;
    }
    this.#seq += 1;
    block.seq = this.#seq;
    block.ok += requests - failed;
    block.failed += failed;
    this.#blocks.set(index, block);
  }
}

function countOfBlock({ index, seq, ok, failed, latency }: Block): BlockCount {
  const errors = failed === 0 ? {} : { bug: failed };
  return {
    index,
    seq,
    traffic: [{ tier: 'interactive', sizeClass: 64, latency: { ...scale, counts: latency }, ok, errors }],
  };
}
