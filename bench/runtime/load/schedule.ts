/**
 * The intended times (arrivals) at which an open loop sends its requests. They do not depend on answers.
 * Pure. The same seed gives the same arrivals, so that every server gets the same bursts.
 */
import { Random } from '../../canary/random.ts';

/** Intended times in milliseconds from the start, in order, with exponential gaps (a Poisson process). */
export function arrivalsMs(perSecond: number, ms: number, seed: number): Float64Array<ArrayBuffer> {
  const random = new Random(seed);
  const times: number[] = [];
  const gapMs = 1000 / perSecond;
  for (let at = random.exponential() * gapMs; at < ms; at += random.exponential() * gapMs) times.push(at);
  return Float64Array.from(times);
}

/** How many of the arrivals from `next` on are due. */
export function dueAt(arrivals: Float64Array, next: number, nowMs: number): number {
  let end = next;
  while (end < arrivals.length && (arrivals[end] ?? Infinity) <= nowMs) end += 1;
  return end - next;
}
