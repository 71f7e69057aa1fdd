/**
 * Traffic counts since the process started, served as `GET /counters`. The sidecar makes the report from them.
 *
 * Owns:  traffic per tier and size class. Counts only grow: when a reading is lost, the next reading still contains the
 *        lost data.
 * Why:   the gates need latency buckets that are 2 % wide, for each size class. The Prometheus metrics lack
 *        such buckets.
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
      /**
       * Present for a streamed answer. `firstByteSeconds` is the time until its first chunk. `units` is the amount of
       * its output in the task's unit, such as tokens.
       */
      readonly stream?: { readonly firstByteSeconds: number; readonly units: number };
    }
  /** `elements` is 0 when the request was refused before its size was known. */
  | { readonly kind: 'Error'; readonly elements: number; readonly outcome: OutcomeKind };

/**
 * Outcomes of valid requests that failed for lack of capacity or time. They include `clientDeadline` and `clientBody`,
 * which the gates ignore as the client's fault (api/outcomes.ts).
 */
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

/** The smallest power of two that is at least `elements`; 0 for 0. Example: 5 elements are in class 8. */
export function sizeClassOf(elements: number): number {
  return elements <= 0 ? 0 : 2 ** Math.ceil(Math.log2(elements));
}

function okOf({ elements, totalMs, firstByteMs, units }: RequestTrace): CallOutcome {
  const ok = { kind: 'Ok', elements, seconds: totalMs / 1000 } as const;
  return firstByteMs === undefined ? ok : { ...ok, stream: { firstByteSeconds: firstByteMs / 1000, units } };
}
