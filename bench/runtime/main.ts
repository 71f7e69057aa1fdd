/**
 * `npm run bench:runtime`: the model server beside raw ONNX Runtime and beside other servers.
 * Owns: output (tables, or one JSON document; progress on standard error), and ending everything that was started.
 * Ends: 0 when everything that can run here was measured, 130 after a signal, otherwise 1. It does not judge times.
 */
import '../../scripts/node-guard.cjs';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { benchCases, type ModelName } from './cases.ts';
import { ControlGroup } from './control-group.ts';
import { GeneratorProcess } from './load/generator-process.ts';
import { memoryOver, type MemoryResult } from './memory.ts';
import { modelFolder } from './model-files.ts';
import { benchHelp, readOrder, type Order } from './order.ts';
import { startParticipant, type Missing } from './participants.ts';
import { measureModel, type Measured, type ModelDeps } from './rounds.ts';
import type { ServedName } from './servers/commands.ts';
import { environmentFor, type PythonEnvironment } from './servers/python.ts';
import { summaryOf, type Cell } from './summary.ts';
import { closedTable, comparisonTable, memoryTable, missingLines, openTable } from './table.ts';

type Results = {
  readonly cells: Cell[];
  readonly missing: Missing[];
  readonly batches: Record<string, number>;
  memory: MemoryResult | undefined;
};

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const asIs = (argv: readonly string[]): readonly string[] => argv;

async function bench(argv: readonly string[], stop: AbortSignal): Promise<ExitCode> {
  const order = readOrder(argv);
  if (order === 'help') {
    process.stdout.write(benchHelp);
    return exitCodes.ok;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'bench-runtime-'));
  const generator = new GeneratorProcess();
  const results: Results = { cells: [], missing: [], batches: {}, memory: undefined };
  try {
    await measureAll(order, results, { scratch, generator, stop });
    return exitCodes.ok;
  } catch (error) {
    if (stop.aborted) return exitCodes.interrupted;
    throw error;
  } finally {
    // Print after a signal, too: each result measured so far is complete.
    print(order, results);
    generator.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

type Tools = Pick<ModelDeps, 'scratch' | 'generator' | 'stop'>;

async function measureAll(order: Order, results: Results, tools: Tools): Promise<void> {
  mkdirSync(order.cache, { recursive: true });
  mkdirSync(order.modelsDir, { recursive: true });
  const environments = new Map<ServedName, PythonEnvironment>();
  for (const peer of order.peers) environments.set(peer, await environmentFor(peer, order.cache, say));
  const surroundings = surroundingsOf(order, results);
  try {
    const cpus = Math.max(1, Math.floor(Math.min(order.quotaCpus ?? Infinity, availableParallelism())));
    for (const [model, names] of Map.groupBy(order.cases, (name) => benchCases[name].model)) {
      const folder = await modelFolder(model, { dir: order.modelsDir, own: tools.scratch, stop: tools.stop });
      if ('missing' in folder) results.missing.push({ what: names.join(', '), why: folder.missing });
      else {
        const deps = { ...tools, order, modelFolder: folder.folder, cpus, environments, say, ...surroundings };
        add(results, await measureModel(model, names, deps));
      }
    }
    if (order.memoryRequests > 0) await measureMemory(order, { ...tools, cpus }, results);
  } finally {
    await surroundings.end();
  }
}

function add(results: Results, { cells, missing, batches }: Measured): void {
  results.cells.push(...cells);
  results.missing.push(...missing);
  Object.assign(results.batches, batches);
}

/**
 * Makes the servers' control group and starts the neighbour (a process that keeps a CPU busy), as the flags request.
 * Adds to `missing` what this machine does not allow.
 */
function surroundingsOf(
  { quotaCpus, isNoisy }: Order,
  { missing }: Results,
): { readonly inGroup: ModelDeps['inGroup']; readonly end: () => Promise<void> } {
  if (quotaCpus === undefined && !isNoisy) return { inGroup: asIs, end: () => Promise.resolve() };
  const groups: ControlGroup[] = [];
  const groupFor = (name: string, cpus?: number): ModelDeps['inGroup'] => {
    const group = ControlGroup.make(`bench-runtime-${process.pid}-${name}`, { cpus });
    if ('missing' in group) {
      missing.push({ what: cpus === undefined ? '--noisy in groups of its own' : '--quota', why: group.missing });
      return asIs;
    }
    groups.push(group);
    return group.command;
  };
  const inGroup = groupFor('servers', quotaCpus);
  const neighbour = isNoisy ? startNeighbour(groupFor('neighbour')) : undefined;
  return {
    inGroup,
    end: async () => {
      neighbour?.kill('SIGKILL');
      for (const group of groups) await group.remove();
    },
  };
}

function startNeighbour(inGroup: ModelDeps['inGroup']): ChildProcess {
  const program = fileURLToPath(new URL('neighbour.ts', import.meta.url));
  const [command = '', ...args] = inGroup([process.execPath, program]);
  return spawn(command, args, { stdio: 'ignore' });
}

async function measureMemory(order: Order, tools: Tools & { readonly cpus: number }, results: Results): Promise<void> {
  const model: ModelName = 'minilm-text';
  const { scratch, stop, generator, cpus } = tools;
  const what = 'memory';
  const folder = await modelFolder(model, { dir: order.modelsDir, own: scratch, stop });
  if ('missing' in folder) return void results.missing.push({ what, why: folder.missing });
  const limits = { memoryBytes: order.memoryLimitBytes };
  const group = ControlGroup.make(`bench-runtime-${process.pid}-memory`, limits);
  if ('missing' in group) results.missing.push({ what: '--memory-limit', why: group.missing });
  const started = await startParticipant('ours', {
    model,
    modelFolder: folder.folder,
    scratch: mkdtempSync(join(scratch, 'memory-')),
    cache: `${order.cache}/prepared`,
    cpus,
    environments: new Map(),
    inGroup: 'missing' in group ? asIs : group.command,
    stop,
  });
  try {
    if ('why' in started) results.missing.push(started);
    else results.memory = await memoryOver(order.memoryRequests, started.server, generator, stop);
  } finally {
    if ('server' in started) await started.server.end();
    if (!('missing' in group)) await group.remove();
  }
}

function print(order: Order, { cells, missing, batches, memory }: Results): void {
  const rows = summaryOf(cells);
  if (order.json) {
    process.stdout.write(`${JSON.stringify({ order, rows, cells, batches, memory, missing }, null, 2)}\n`);
    return;
  }
  const sizes = Object.entries(batches).map(([name, batch]) => `${name} ${batch}`);
  const parts = [
    closedTable(rows),
    openTable(rows),
    `Rate of ours divided by that of others (CPU of others divided by that of ours):\n\n${comparisonTable(rows)}`,
    sizes.length === 0 ? '' : `Best batch size of raw ONNX Runtime: ${sizes.join(', ')}\n`,
    memory === undefined ? '' : `${memoryTable(memory.points)}\n${memorySentence(memory)}\n`,
    missing.length === 0 ? '' : `Not measured:\n\n${missingLines(missing)}`,
  ];
  process.stdout.write(`${parts.filter((part) => part !== '').join('\n')}`);
}

function memorySentence({ growthMiB, peakMiB, others, giants, isAlive }: MemoryResult): string {
  const lines = Object.entries(giants).map(([name, counts]) => `- ${name}: ${countsIn(counts)}`);
  return [
    `Anonymous memory grew by ${growthMiB.toFixed(1)} MiB from the first tenth of the requests to the end; its ` +
      `peak was ${peakMiB.toFixed(1)} MiB. The server ${isAlive ? 'still ran at the end' : 'ENDED during the run'}.`,
    `Other answers than 200 to the usual requests: ${countsIn(others)}.`,
    'Answers to the greedy client, which sends each of these in a loop beside them:',
    ...lines,
  ].join('\n');
}

function countsIn(counts: Readonly<Record<number, number>>): string {
  const parts = Object.entries(counts).map(([status, count]) => `${count} times ${status === '0' ? 'closed' : status}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

await run(createLogger('bench-runtime', 'warn'), (stop) => bench(process.argv.slice(2), stop));
