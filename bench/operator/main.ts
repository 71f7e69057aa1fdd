/**
 * `npm run bench:operator`: requests, writes, latency, CPU and memory of an operator at scale.
 * Owns: flags and output: a table or one JSON document, the recorded file, and the verdicts of a comparison.
 * Ends: 0 when every scenario ran and, with --compare, no count is too far above its record; 130 after a signal;
 * otherwise 1.
 */
import '../../scripts/node-guard.cjs';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { benchHelp, readOrder, settingOf, type Order } from './order.ts';
import { comparedWith, recordedWith, type Recorded } from './record.ts';
import { tableOf, type Row } from './rows.ts';
import { analysis, nodeLost, releaseDay } from './scenarios/canaries.ts';
import { life } from './scenarios/life.ts';
import { World } from './world.ts';

const assets = process.env['KUBEBUILDER_ASSETS'] === '' ? undefined : process.env['KUBEBUILDER_ASSETS'];

type Measure = (world: World) => Promise<readonly Row[]>;

/** The groups of scenarios. Each group runs on an API server of its own. */
function partsOf({ scenarios }: Order): readonly Measure[] {
  const isLife = (['cold', 'change', 'quiet', 'restart'] as const).some((name) => scenarios.includes(name));
  const others = { analysis, releaseDay, nodeLost } as const;
  const wanted = (['analysis', 'releaseDay', 'nodeLost'] as const).filter((name) => scenarios.includes(name));
  return [...(isLife ? [life] : []), ...wanted.map((name) => others[name])];
}

async function bench(argv: readonly string[], stop: AbortSignal): Promise<ExitCode> {
  const order = readOrder(argv);
  if (order === 'help') {
    process.stdout.write(benchHelp);
    return exitCodes.ok;
  }
  const rows: Row[] = [];
  try {
    for (const measure of partsOf(order)) rows.push(...(await inWorld(order, measure, stop)));
  } catch (error) {
    if (stop.aborted) return exitCodes.interrupted;
    throw error;
  }
  const setting = settingOf(order, assets === undefined ? 'local' : 'real');
  process.stdout.write(order.json ? `${JSON.stringify({ setting, rows }, null, 2)}\n` : '');
  if (order.record !== undefined) keep(order.record, setting, rows);
  return order.compare === undefined ? exitCodes.ok : judge(order.compare, setting, rows);
}

async function inWorld(order: Order, measure: Measure, stop: AbortSignal): Promise<readonly Row[]> {
  const world = await World.open(order, assets, stop);
  try {
    const rows = await measure(world);
    if (!order.json) process.stdout.write(`${tableOf(rows)}\n`);
    return rows;
  } finally {
    await world.close();
  }
}

function keep(path: string, setting: string, rows: readonly Row[]): void {
  const before = existsSync(path) ? recordIn(path) : {};
  writeFileSync(path, `${JSON.stringify(recordedWith(before, setting, rows), null, 2)}\n`);
}

function judge(path: string, setting: string, rows: readonly Row[]): ExitCode {
  const verdicts = comparedWith(recordIn(path), setting, rows);
  // With --json, standard output contains only the document, so the verdicts go to standard error.
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  for (const { passed, sentence } of verdicts) say(`${passed ? 'ok' : 'FAILED'}: ${sentence}`);
  const failed = verdicts.filter(({ passed }) => !passed).length;
  say(`${verdicts.length - failed} passed, ${failed} failed`);
  return failed === 0 ? exitCodes.ok : exitCodes.bug;
}

function recordIn(path: string): Recorded {
  return JSON.parse(readFileSync(path, 'utf8')) as Recorded;
}

await run(createLogger('bench-operator', 'warn'), (stop) => bench(process.argv.slice(2), stop));
