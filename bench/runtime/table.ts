/**
 * The rows as Markdown tables.
 * Pure.
 */
import type { MemoryPoint } from './memory.ts';
import type { Missing } from './participants.ts';
import type { SummaryRow } from './summary.ts';

const closedHead =
  '| case | load | server | rate/s | ÷ raw | ÷ FastAPI | CPU s per 1,000 | engine share | p50 | p95 | p99 ms | ' +
  'client CPU s | not 200 |';
const openHead =
  '| case | load | server | offered/s | good/s | kept | refused | retry-after s | p50 | p95 | p99 ms | ' +
  'health p99 ms | not 200 |';

export function closedTable(rows: readonly SummaryRow[]): string {
  return tableWith(closedHead, rows.filter(({ figures }) => figures.open === undefined).map(closedLine));
}

export function openTable(rows: readonly SummaryRow[]): string {
  return tableWith(openHead, rows.filter(({ figures }) => figures.open !== undefined).map(openLine));
}

/**
 * Ours beside each other server in closed loops, one line for each case and load: our rate divided by the other rate,
 * and the other CPU divided by ours. Above 1, ours is better.
 */
export function comparisonTable(rows: readonly SummaryRow[]): string {
  const closed = rows.filter(({ figures }) => figures.open === undefined);
  const others = [...new Set(closed.map(({ server }) => server))].filter((server) => server !== 'ours');
  const groups = Map.groupBy(closed, (row) => `${row.case} | ${row.load}`);
  const lines = [...groups].map(([name, group]) => {
    const ours = group.find(({ server }) => server === 'ours');
    return [
      name,
      ...others.map((other) =>
        ratio(
          ours,
          group.find(({ server }) => server === other),
        ),
      ),
    ];
  });
  return tableWith(`| case | load | ${others.map((other) => `ours ÷ ${other}`).join(' | ')} |`, lines);
}

function ratio(ours: SummaryRow | undefined, other: SummaryRow | undefined): string {
  if (ours === undefined || other === undefined || other.figures.perSecond === 0) return '';
  const rate = ours.figures.perSecond / other.figures.perSecond;
  const cpu = other.figures.cpuPerThousand / ours.figures.cpuPerThousand;
  return `${shown(rate)} (${shown(cpu)})`;
}

export function missingLines(missing: readonly Missing[]): string {
  return missing.map(({ what, why }) => `- ${what}: ${why}\n`).join('');
}

export function memoryTable(points: readonly MemoryPoint[]): string {
  return tableWith(
    '| requests | anonymous MiB | resident MiB |',
    points.map(({ requests, anonymousMiB, residentMiB }) => [
      String(requests),
      shown(anonymousMiB),
      shown(residentMiB),
    ]),
  );
}

function closedLine(row: SummaryRow): readonly string[] {
  const { figures } = row;
  return [
    row.case,
    row.load,
    row.server,
    shown(figures.perSecond),
    shown(row.rateToRaw),
    shown(row.rateToFastapi),
    shown(figures.cpuPerThousand),
    shown(row.engineShare),
    shown(figures.p50),
    shown(figures.p95),
    shown(figures.p99),
    shown(figures.clientCpuPerThousand),
    percent(figures.failedShare),
  ];
}

function openLine({ case: name, load, server, figures }: SummaryRow): readonly string[] {
  const { open } = figures;
  if (open === undefined) return [];
  return [
    name,
    load,
    server,
    shown(open.offeredPerSecond),
    shown(open.goodPerSecond),
    percent(open.keptShare),
    percent(open.refusedShare),
    shown(open.retryAfterSeconds),
    shown(figures.p50),
    shown(figures.p95),
    shown(figures.p99),
    shown(open.healthP99),
    percent(figures.failedShare),
  ];
}

function tableWith(head: string, lines: readonly (readonly string[])[]): string {
  if (lines.length === 0) return '';
  const columns = head.split('|').length - 2;
  const rule = `|${'---|'.repeat(columns)}`;
  return `${head}\n${rule}\n${lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')}`;
}

/** A number as text with about three significant digits: 1234, 12.3, 0.123; empty for NaN. */
function shown(value: number): string {
  if (!Number.isFinite(value)) return '';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3;
  return value.toFixed(digits);
}

function percent(share: number): string {
  if (!Number.isFinite(share)) return '';
  return share === 0 ? '0' : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}
