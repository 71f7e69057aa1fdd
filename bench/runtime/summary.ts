/**
 * From measured cells to rows: medians of the rounds, and ratios to raw ONNX Runtime and to FastAPI. A cell is one
 * server under one load of one case in one round; a row is the result of its rounds. In an open loop, a request has an
 * intended time, from which its latency counts.
 * Pure.
 */
import { median, quantile } from '../support/load.ts';
import type { CaseName } from './cases.ts';
import type { LoadName } from './loads.ts';
import type { LoadReport } from './load/job.ts';
import type { RawReport } from './raw/job.ts';

/** One server under one load of one case in one round. */
export type Cell = {
  readonly case: CaseName;
  readonly load: LoadName;
  readonly server: string;
  readonly round: number;
  readonly figures: Figures;
};

/** Times are in milliseconds, CPU in seconds. */
export type Figures = {
  /** Answers with status 200 per second. */
  readonly perSecond: number;
  readonly cpuPerThousand: number;
  /** CPU of the load generator. */
  readonly clientCpuPerThousand: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Share of the requests that got another status than 200, or no answer. */
  readonly failedShare: number;
  readonly open?: OpenFigures | undefined;
};

export type OpenFigures = {
  readonly offeredPerSecond: number;
  /** Answers with status 200 within the deadline, per second, counted from the intended time. */
  readonly goodPerSecond: number;
  /** Of the requests that were not refused with 429 or 503, the share with status 200 within the deadline. */
  readonly keptShare: number;
  readonly refusedShare: number;
  /** Median of the answers' retry-after; NaN when there was none. */
  readonly retryAfterSeconds: number;
  readonly healthP99: number;
  readonly sentLateMs: number;
};

export type SummaryRow = {
  readonly case: CaseName;
  readonly load: LoadName;
  readonly server: string;
  readonly rounds: number;
  readonly figures: Figures;
  /** Rate divided by that of raw ONNX Runtime at its best batch size (`c1`: at batch size 1 on one thread). */
  readonly rateToRaw: number;
  /** CPU of raw ONNX Runtime divided by CPU of the server: the share of the server's CPU that the engine needs. */
  readonly engineShare: number;
  readonly rateToFastapi: number;
  /** CPU of FastAPI divided by CPU of the server. Above 1: the server needs less. */
  readonly cpuToFastapi: number;
};

export function figuresOf(report: LoadReport, offered?: { perSecond: number; deadlineMs: number }): Figures {
  const { latenciesMs, inTime, elapsedMs, others, unansweredMs } = report;
  // Include requests without an answer: their latency is at least the time until the end.
  const times = [...latenciesMs, ...unansweredMs];
  const failed = sum(Object.values(others)) + unansweredMs.length;
  return {
    perSecond: inTime / (elapsedMs / 1000),
    cpuPerThousand: (report.serverCpuSeconds / inTime) * 1000,
    clientCpuPerThousand: (report.clientCpuSeconds / inTime) * 1000,
    p50: quantile(times, 0.5),
    p95: quantile(times, 0.95),
    p99: quantile(times, 0.99),
    failedShare: failed / Math.max(1, latenciesMs.length + failed),
    ...(offered === undefined ? {} : { open: openFigures(report, offered) }),
  };
}

export function rawFigures({ rows, elapsedMs, cpuSeconds, latenciesMs }: RawReport): Figures {
  const times = [...latenciesMs];
  return {
    perSecond: rows / (elapsedMs / 1000),
    cpuPerThousand: (cpuSeconds / rows) * 1000,
    clientCpuPerThousand: 0,
    p50: quantile(times, 0.5),
    p95: quantile(times, 0.95),
    p99: quantile(times, 0.99),
    failedShare: 0,
  };
}

function openFigures(
  report: LoadReport,
  { perSecond, deadlineMs }: { perSecond: number; deadlineMs: number },
): OpenFigures {
  const good = report.latenciesMs.filter((ms) => ms <= deadlineMs).length;
  const others = sum(Object.values(report.others));
  const refused = (report.others[429] ?? 0) + (report.others[503] ?? 0);
  const all = report.latenciesMs.length + others + report.unansweredMs.length;
  return {
    offeredPerSecond: perSecond,
    goodPerSecond: good / (report.elapsedMs / 1000),
    keptShare: good / Math.max(1, all - refused),
    refusedShare: refused / Math.max(1, all),
    retryAfterSeconds: median(report.retryAfterSeconds),
    healthP99: quantile(report.healthMs, 0.99),
    sentLateMs: report.sentLateMs,
  };
}

/** One row for each case, load and server, in the order of the first round. */
export function summaryOf(cells: readonly Cell[]): readonly SummaryRow[] {
  const groups = Map.groupBy(cells, (cell) => keyOf(cell, cell.server));
  const medians = new Map([...groups].map(([key, group]) => [key, medianOf(group.map(({ figures }) => figures))]));
  return [...groups].flatMap(([key, group]) => {
    const [first] = group;
    const figures = medians.get(key);
    if (first === undefined || figures === undefined) return [];
    const { case: name, load, server } = first;
    const [raw, fastapi] = ['raw', 'fastapi'].map((other) => medians.get(keyOf(first, other)) ?? unknown);
    return { case: name, load, server, rounds: group.length, figures, ...ratiosOf(figures, raw, fastapi) };
  });
}

/** The figures of raw ONNX Runtime or FastAPI when it was not measured. */
const unknown = { perSecond: NaN, cpuPerThousand: NaN } as const;

function keyOf({ case: name, load }: Pick<Cell, 'case' | 'load'>, server: string): string {
  return `${name} ${load} ${server}`;
}

type Compared = Pick<Figures, 'perSecond' | 'cpuPerThousand'>;

function ratiosOf(
  { perSecond, cpuPerThousand }: Compared,
  raw: Compared = unknown,
  fastapi: Compared = unknown,
): Pick<SummaryRow, 'rateToRaw' | 'engineShare' | 'rateToFastapi' | 'cpuToFastapi'> {
  return {
    rateToRaw: perSecond / raw.perSecond,
    engineShare: raw.cpuPerThousand / cpuPerThousand,
    rateToFastapi: perSecond / fastapi.perSecond,
    cpuToFastapi: fastapi.cpuPerThousand / cpuPerThousand,
  };
}

/** For each figure, its median over the rounds. */
function medianOf(all: readonly Figures[]): Figures {
  const opens = all.flatMap(({ open }) => (open === undefined ? [] : [open]));
  const of = (field: Exclude<keyof Figures, 'open'>): number => median(all.map((figures) => figures[field]));
  const ofOpen = (field: keyof OpenFigures): number => median(opens.map((figures) => figures[field]));
  return {
    perSecond: of('perSecond'),
    cpuPerThousand: of('cpuPerThousand'),
    clientCpuPerThousand: of('clientCpuPerThousand'),
    p50: of('p50'),
    p95: of('p95'),
    p99: of('p99'),
    failedShare: of('failedShare'),
    ...(opens.length === 0
      ? {}
      : {
          open: {
            offeredPerSecond: ofOpen('offeredPerSecond'),
            goodPerSecond: ofOpen('goodPerSecond'),
            keptShare: ofOpen('keptShare'),
            refusedShare: ofOpen('refusedShare'),
            retryAfterSeconds: ofOpen('retryAfterSeconds'),
            healthP99: ofOpen('healthP99'),
            sentLateMs: ofOpen('sentLateMs'),
          },
        }),
  };
}

/** The highest median rate of each server in the closed loops of a case. */
export function capacitiesOf(cells: readonly Cell[]): ReadonlyMap<string, number> {
  const capacities = new Map<string, number>();
  for (const { server, figures } of summaryOf(cells.filter(({ figures }) => figures.open === undefined)))
    capacities.set(server, Math.max(capacities.get(server) ?? 0, figures.perSecond));
  return capacities;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
