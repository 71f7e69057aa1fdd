/**
 * The results of a scenario (a row counts the operator's requests), and their form as a table.
 * Pure.
 */
import { countOf, isCounted, isWriting, type RequestCounts } from './requests.ts';

export type Row = {
  /** The scenario or a part of it, such as `cold` or `change, new revision`. */
  readonly name: string;
  /** What the counts are divided by, such as `models`, `changes`, `pods` or `runs`. */
  readonly per: string;
  /** The divisor of the counts: the number of models, changes, pods or runs. */
  readonly times: number;
  readonly requests: RequestCounts;
  /**
   * The requests whose answer had a status of 400 or above, by status and request name. `requests` contains these
   * requests, too.
   */
  readonly refused: RequestCounts;
  /** Times, CPU and memory, which depend on the machine. The name of each figure contains its unit. */
  readonly figures: Readonly<Record<string, number>>;
};

/** Requests and writes for each model, change or run, without watches. */
export function perTime({ requests, times }: Pick<Row, 'requests' | 'times'>): {
  readonly requests: number;
  readonly writes: number;
} {
  return { requests: countOf(requests, isCounted) / times, writes: countOf(requests, isWriting) / times };
}

export function tableOf(rows: readonly Row[]): string {
  return rows.map(linesOf).join('\n');
}

function linesOf(row: Row): string {
  const { requests, writes } = perTime(row);
  const head = `${row.name}: ${row.times} ${row.per}, ${shown(requests)} requests and ${shown(writes)} writes each`;
  const counts = Object.entries(row.requests).map(([name, count]) => [name, shown(count / row.times)] as const);
  const refused = Object.entries(row.refused).map(([name, count]) => [`  refused: ${name}`, String(count)] as const);
  const figures = Object.entries(row.figures).map(([name, value]) => [name, shown(value)] as const);
  return [
    head,
    ...[...counts, ...refused, ...figures].map(([name, value]) => `  ${name.padEnd(44)} ${value.padStart(10)}`),
    '',
  ].join('\n');
}

function shown(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: value < 10 ? 2 : 1, useGrouping: false });
}
