/**
 * Recorded counts, and the comparison of a run with them.
 * Owns: the form of the recorded file, and how much a count may differ. Two runs have different counts for two reasons:
 * a request that fails with a conflict is repeated, and two events that arrive together are handled once. A count is
 * the number of requests or writes in a row, the result of one scenario.
 * Pure.
 */
import { perTime, type Row } from './rows.ts';

/** Rows by setting. The name of a setting contains the flags on which counts depend (order.ts, settingOf). */
export type Recorded = Readonly<Record<string, readonly Row[]>>;

export type Verdict = { readonly passed: boolean; readonly sentence: string };

/**
 * A count fails when it exceeds the recorded count by more than the larger of two tolerances: this share of the
 * recorded count, and `toleratedCount / √times`.
 */
const toleratedShare = 0.05;
/**
 * The tolerance for small counts in a row whose `times` is 1. In other rows it is divided by √times. The tolerance is
 * below 1, so a run with one more request for each model, change or run exceeds it.
 */
const toleratedCount = 0.5;

/**
 * The recorded counts after a run. The rows of the run replace the old rows of this setting; rows of scenarios that did
 * not run stay.
 */
export function recordedWith(recorded: Recorded, setting: string, rows: readonly Row[]): Recorded {
  const kept = (recorded[setting] ?? []).filter(({ name }) => !rows.some((row) => row.name === name));
  return { ...recorded, [setting]: [...kept, ...rows] };
}

/** For each row, one verdict for its requests and one for its writes. */
export function comparedWith(recorded: Recorded, setting: string, rows: readonly Row[]): readonly Verdict[] {
  const before = recorded[setting];
  if (before === undefined) {
    const sentence = `the record has no counts for "${setting}"; it has: ${Object.keys(recorded).join('; ') || 'none'}`;
    return [{ passed: false, sentence }];
  }
  return rows.flatMap((row) => {
    const old = before.find(({ name }) => name === row.name);
    if (old === undefined) return [{ passed: false, sentence: `the record has no counts for "${row.name}"` }];
    return verdictsOf(row, old);
  });
}

function verdictsOf(row: Row, old: Row): readonly Verdict[] {
  const [now, before] = [perTime(row), perTime(old)];
  return (['requests', 'writes'] as const).map((what) => {
    const limit = Math.max(before[what] * (1 + toleratedShare), before[what] + toleratedCount / Math.sqrt(row.times));
    const passed = now[what] <= limit;
    const numbers = `${round(now[what])} ${what} for each of ${row.times} ${row.per}, recorded ${round(before[what])}`;
    const isLess = now[what] < before[what] * (1 - toleratedShare);
    const reason = passed ? (isLess ? '; fewer: record it' : '') : ` (limit ${round(limit)})${moreOf(row, old)}`;
    return { passed, sentence: `${row.name}: ${numbers}${reason}` };
  });
}

/** A text that names the requests whose counts have increased, the largest increase first. */
function moreOf(row: Row, old: Row): string {
  const more = Object.entries(row.requests)
    .map(([name, count]) => [name, count / row.times - (old.requests[name] ?? 0) / old.times] as const)
    .filter(([, difference]) => difference > 0.01)
    .sort((a, b) => b[1] - a[1]);
  return more.length === 0 ? '' : `; more of: ${more.map(([name, by]) => `${name} +${round(by)}`).join(', ')}`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
