/**
 * What happened since the start: the numbers behind `GET /counters`, which the sidecar turns into the report.
 *
 * Owns:  traffic per tier and size class. Everything only grows, so that merging is adding and a lost reading
 *        costs nothing.
 * Why:   not the Prometheus metrics: the gates need 2 % buckets by size class, a scraper does not.
 */
import type { OutcomeKind } from '../../api/outcomes.ts';
import type { Traffic } from '../../api/report.ts';
import { DurationCounts } from '../../api/histogram.ts';
import { reportedTiers, type Tier } from '../../api/tiers.ts';
import { isInference } from './handler.ts';
import type { AnsweredCall, Observer } from './observer.ts';
import type { RequestTrace } from './trace.ts';

export type CallOutcome =
  | {
      readonly kind: 'Ok';
      readonly elements: number;
      readonly seconds: number;
      /** Of a streamed answer: seconds to its first chunk, and what it had in units of its task. */
      readonly stream?: { readonly firstByteSeconds: number; readonly units: number };
    }
  /** `elements` is 0 when the request was refused before its size was known. */
  | { readonly kind: 'Error'; readonly elements: number; readonly outcome: OutcomeKind };

/** Kinds that mean: the request was fine, there was no room or time for it, whoever is at fault. */
const shedKinds: ReadonlySet<OutcomeKind> = new Set([
  'overloaded',
  'deadline',
  'waiting',
  'clientDeadline',
  'clientBody',
]);
type Cell = {
  readonly latency: DurationCounts;
  readonly firstByte: DurationCounts;
  units: number;
  streams: number;
  ok: number;
  readonly errors: Map<OutcomeKind, number>;
  shed: number;
};

export class Counters implements Observer {
  readonly #cells: Readonly<Record<Tier, Map<number, Cell>>> = { interactive: new Map(), bulk: new Map() };

  answered(call: AnsweredCall): void {
    if (!isInference(call.route)) return;
    const { elements } = call.trace;
    const { tier } = call.incoming;
    if (call.kind === 'Answered') this.record(okOf(call.trace), tier);
    else if (call.kind === 'Failed') this.record({ kind: 'Error', elements, outcome: call.outcome }, tier);
  }

  record(outcome: CallOutcome, tier: Tier = 'interactive'): void {
    const cell = this.#cell(tier, sizeClassOf(outcome.elements));
    if (outcome.kind === 'Ok') {
      cell.ok += 1;
      cell.latency.observe(outcome.seconds);
      if (outcome.stream !== undefined) {
        cell.streams += 1;
        cell.units += outcome.stream.units;
        cell.firstByte.observe(outcome.stream.firstByteSeconds);
      }
      return;
    }
    cell.errors.set(outcome.outcome, (cell.errors.get(outcome.outcome) ?? 0) + 1);
    if (shedKinds.has(outcome.outcome)) cell.shed += 1;
  }

  snapshot(): readonly Traffic[] {
    return (['interactive', 'bulk'] as const).flatMap((tier) =>
      [...this.#cells[tier]]
        .sort(([a], [b]) => a - b)
        .map(([sizeClass, { latency, firstByte, units, streams, ok, errors, shed }]) => ({
          tier: reportedTiers[tier],
          sizeClass,
          latency: latency.snapshot(),
          ok,
          errors: Object.fromEntries(errors),
          shed,
          ...(streams === 0 ? {} : { streamed: { firstByte: firstByte.snapshot(), units } }),
        })),
    );
  }

  #cell(tier: Tier, sizeClass: number): Cell {
    const known = this.#cells[tier].get(sizeClass);
    if (known !== undefined) return known;
    const made: Cell = {
      latency: new DurationCounts(),
      firstByte: new DurationCounts(),
      units: 0,
      streams: 0,
      ok: 0,
      errors: new Map(),
      shed: 0,
    };
    this.#cells[tier].set(sizeClass, made);
    return made;
  }
}

/** The least power of two that is not below `elements`; 0 for none. */
export function sizeClassOf(elements: number): number {
  return elements <= 0 ? 0 : 2 ** Math.ceil(Math.log2(elements));
}

function okOf({ elements, totalMs, firstByteMs, units }: RequestTrace): CallOutcome {
  const ok = { kind: 'Ok', elements, seconds: totalMs / 1000 } as const;
  return firstByteMs === undefined ? ok : { ...ok, stream: { firstByteSeconds: firstByteMs / 1000, units } };
}
