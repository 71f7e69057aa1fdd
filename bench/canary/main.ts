/**
 * `npm run bench:canary`: how often canary judges roll back without a cause, and how soon they find a real regression.
 * Owns: flags and output: a table row by row, or one JSON document when all rows are complete.
 * Ends: 0 when all rows are complete, 130 after a signal (checked between two runs). It does not judge the results.
 */
import '../../scripts/node-guard.cjs';
import { appendFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { AppError } from '../../api/errors.ts';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { calibrate, forecastCells } from './forecasts.ts';
import type { Cell } from './cell.ts';
import { allCells, runCell, usualRuns } from './cells.ts';
import type { Row } from './rows.ts';
import { usual } from './scenarios.ts';

const help = `Usage: npm run bench:canary -- [options]

Simulates canaries and counts the verdicts of judges: this project's, and the rules of Argo Rollouts, Flagger
and Kayenta. docs/canary-analysis.md describes the scenarios. It takes about half an hour of one core, with --all
several hours.

  --runs N           runs of a cell (default: 400 for candidates within their limits, 200 for others)
  --only NAME        the scenario NAME, or all scenarios that begin with NAME; may be repeated
  --all              also heavy tails, drift, queues, cold starts, noise that lasts and other services
  --judge NAME       ours, argo-rollouts, flagger or kayenta; may be repeated
  --rate N           requests a minute: 20, 55, 100, 1000 or 10000; may be repeated
  --what NAME        rollout (whole ones of default settings) or window (one gate in one window); may be repeated
  --router NAME      of rollouts: HTTPRoute or Service; may be repeated
  --every-report     in rollouts, a look at every report (each five seconds), not only at the first of each block
  --pods-each        in rollouts, as many pods of the candidate as of stable in every step
  --seed N           another set of canaries (default: 1)
  --forecasts        instead: how often what was foreseen comes true (with --runs and --seed alone)
  --append FILE      also writes each row to a file of JSON lines as soon as it is there
  --json             {"rows": [...]} on standard output instead of a table
  --help
`;

const options = {
  runs: { type: 'string' },
  only: { type: 'string', multiple: true },
  all: { type: 'boolean', default: false },
  judge: { type: 'string', multiple: true },
  rate: { type: 'string', multiple: true },
  what: { type: 'string', multiple: true },
  router: { type: 'string', multiple: true },
  'every-report': { type: 'boolean', default: false },
  'pods-each': { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  forecasts: { type: 'boolean', default: false },
  append: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (!/^[0-9]{1,9}$/.test(text)) throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a whole number` });
  return value;
}

type Numbered = { readonly cell: Cell; /** The cell's position among all cells. */ readonly number: number };
type Order = {
  readonly wanted: readonly Numbered[];
  readonly runs: number | undefined;
  readonly seed: number;
  readonly everyReport: boolean;
  readonly podsEach: boolean;
  readonly append: string | undefined;
  readonly json: boolean;
};

/** @throws AppError BAD_FLAG */
function orderOf(flags: ReturnType<typeof parseOnlyFlags<typeof options>>): Order {
  const runs = flags.runs === undefined ? undefined : wholeNumber('--runs', flags.runs);
  if (runs === 0) throw new AppError('BAD_FLAG', { flag: '--runs', problem: 'needs at least 1' });
  const rates = (flags.rate ?? []).map((text) => wholeNumber('--rate', text));
  const { only = [], all, judge: judges = [], what = [], router: routers = [] } = flags;
  const asked = { only, all, judges, rates, what, routers };
  const wanted = allCells().flatMap((cell, number) => (isWanted(cell, asked) ? [{ cell, number }] : []));
  const flag = '--only, --judge, --rate, --what, --router';
  if (wanted.length === 0)
    throw new AppError('BAD_FLAG', { flag, problem: 'no cell of the bench matches all of them' });
  const { 'every-report': everyReport, 'pods-each': podsEach, append, json } = flags;
  return { wanted, runs, seed: wholeNumber('--seed', flags.seed), everyReport, podsEach, append, json };
}

async function bench(argv: readonly string[], stop: AbortSignal): Promise<ExitCode> {
  const flags = parseOnlyFlags('bench:canary', argv, options);
  if (flags.help) {
    console.log(help);
    return exitCodes.ok;
  }
  const order = orderOf(flags);
  if (flags.forecasts) return await forecasts(order, stop);
  if (!order.json) console.log(heading);
  const rows: Row[] = [];
  for (const { cell, number } of order.wanted) {
    const { runs = usualRuns(cell), seed, everyReport, podsEach } = order;
    const row = await runCell(cell, { runs, seed, number, everyReport, podsEach }, stop);
    if (stop.aborted) return exitCodes.interrupted;
    rows.push(row);
    if (order.append !== undefined) appendFileSync(order.append, `${JSON.stringify(row)}\n`);
    if (!order.json) console.log(line(row));
  }
  if (order.json) console.log(JSON.stringify({ rows }, null, 2));
  return exitCodes.ok;
}

/**
 * Prints how accurate the forecasts of "requests until a verdict" are: a row for each scenario, rate and time of the
 * forecast. `within` is the share of forecasts whose range contained the actual number, `sooner` the share that were
 * too high. The last three columns are the 10th, 50th and 90th percentile of the actual number divided by the forecast.
 */
async function forecasts({ runs = 100, seed }: Order, stop: AbortSignal): Promise<ExitCode> {
  const row = (cells: readonly string[]): void =>
    console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(12) : cell.padStart(10))).join(' '));
  row(['scenario', 'req/min', 'after', 'asked', 'within', 'sooner', '10 %', '50 %', '90 %']);
  for (const [number, cell] of forecastCells().entries()) {
    for (const { minutes, asked, within, sooner, ratios } of calibrate(cell, { runs, seed, number })) {
      const parts = ratios ?? [null, null, null];
      row([
        cell.scenario.name,
        String(cell.requestsPerMinute),
        `${minutes} min`,
        String(asked),
        share(within),
        share(sooner),
        ...parts.map((each) => inDigits(each, 2)),
      ]);
    }
    await setImmediate();
    if (stop.aborted) return exitCodes.interrupted;
  }
  return exitCodes.ok;
}

const scenarioNames: ReadonlySet<string> = new Set(allCells().map((cell) => cell.scenario.name));

type Wanted = {
  readonly only: readonly string[];
  readonly all: boolean;
  readonly judges: readonly string[];
  readonly rates: readonly number[];
  readonly what: readonly string[];
  readonly routers: readonly string[];
};

function isWanted(cell: Cell, { only, all, judges, rates, what, routers }: Wanted): boolean {
  const { name } = cell.scenario;
  const named = only.some((text) => name === text || (!scenarioNames.has(text) && name.startsWith(text)));
  const has = <T>(values: readonly T[], value: T): boolean => values.length === 0 || values.includes(value);
  return (
    (only.length === 0 ? all || usual.has(cell.scenario) : named) &&
    has(judges, cell.judge) &&
    has(rates, cell.requestsPerMinute) &&
    has(what, cell.what === 'rollout' ? 'rollout' : 'window') &&
    (routers.length === 0 || (cell.what === 'rollout' && routers.includes(cell.router)))
  );
}

const widths = [13, 24, 8, 10, 8, 5, 11, 9, 9, 8, 9, 7, 15, 9, 7] as const;
const heading = columns([
  'judge',
  'scenario',
  'req/min',
  'share',
  'history',
  'runs',
  'false back',
  'found',
  'requests',
  'minutes',
  'promoted',
  'held',
  'after (p90)',
  '< half',
  'wrong',
]);

function columns(cells: readonly string[]): string {
  return cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' ');
}

const share = (value: number | null): string => (value === null ? '-' : `${(value * 100).toFixed(1)} %`);
const inDigits = (value: number | null, digits: number): string => (value === null ? '-' : value.toFixed(digits));

function line(row: Row): string {
  const where = row.rollout === null ? share(row.candidateShare) : row.rollout.router;
  return columns([
    row.judge,
    row.scenario,
    String(row.requestsPerMinute),
    where,
    row.historyMinutes === 0 ? '-' : `${row.historyMinutes}m`,
    String(row.runs),
    share(row.falseRollbackRate),
    share(row.detectedRate),
    inDigits(row.medianRequestsToDetect, 0),
    inDigits(row.medianMinutesToDetect, 1),
    ...(row.rollout === null ? [] : rolloutColumns(row.rollout)),
  ]);
}

function rolloutColumns(rollout: NonNullable<Row['rollout']>): readonly string[] {
  const { promotedRate, heldRate, foundBeforeHalfRate, wrongPromotionRate } = rollout;
  const after = `${inDigits(rollout.medianMinutesToPromotion, 1)} (${inDigits(rollout.p90MinutesToPromotion, 1)})`;
  return [share(promotedRate), share(heldRate), after, share(foundBeforeHalfRate), share(wrongPromotionRate)];
}

await run(createLogger('bench-canary', 'warn'), (stop) => bench(process.argv.slice(2), stop));
