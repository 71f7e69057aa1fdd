/**
 * The worker pool beside engine processes: the CPU time of a run, runs per second, and memory.
 * Use: `npm run bench:engines -- MODELS_DIR [ROUNDS]`, with MODELS_DIR from `npm run models`. Each round measures every
 * engine in a process of its own, so that other load of the machine affects all engines; medians are printed.
 * Read: CPU time of a run has that of the caller and of the engine, but no HTTP. Memory is anonymous and shared memory
 * (PSS without files) of all processes; `worker` is what the second run at once adds.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../lib/clock.ts';
import { silentLogger } from '../lib/log.ts';
import { WorkerPool } from '../runtime/engine/pool.ts';
import type { Engine } from '../runtime/engine/port.ts';
import { ProcessEngine } from '../runtime/engine/process/process-engine.ts';
import { sessionOptions } from '../runtime/engine/session-options.ts';
import { makeTensor, type NamedTensors, type Tensor } from '../runtime/engine/tensor.ts';
import { nativeEnvironment } from '../api/names.ts';
import { givenConfig } from '../test/support/model-server.ts';
import { residual, writeModel } from '../test/support/onnx-models.ts';
import { median } from './support/load.ts';

const self = fileURLToPath(import.meta.url);
const spanMs = 4000;

const engines = {
  'pool, 1 worker': { kind: 'pool', runs: 1 },
  'pool, 2 workers': { kind: 'pool', runs: 2 },
  '1 process, 1 run': { kind: 'process', runs: 1 },
  '1 process, 2 runs': { kind: 'process', runs: 2 },
} as const;
type EngineName = keyof typeof engines;

type Case = { readonly path: (models: string) => string; readonly inputs: () => NamedTensors; readonly output: string };
const ones = (...dims: number[]): Tensor =>
  makeTensor('int64', dims, new BigInt64Array(dims.reduce((product, dim) => product * dim, 1)).fill(1n));
const floats = (...dims: number[]): Tensor =>
  makeTensor('float32', dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(0.5));
const cases = {
  'tiny MLP': { path: (models) => join(models, 'tiny.onnx'), inputs: () => ({ x: floats(1, 8) }), output: 'y' },
  'MiniLM, 32 tokens': {
    path: (models) => join(models, 'minilm/model.onnx'),
    inputs: () => ({ input_ids: ones(1, 32), attention_mask: ones(1, 32), token_type_ids: ones(1, 32) }),
    output: '',
  },
  'OCR, recognition': {
    path: (models) => join(models, 'ocr/model.onnx'),
    inputs: () => ({ x: floats(1, 3, 48, 320) }),
    output: '',
  },
} as const satisfies Readonly<Record<string, Case>>;
type CaseName = keyof typeof cases;

type Measured = { readonly cpuMs: number; readonly perSecond: number; readonly megabytes: number };

/** Measures one engine in this process. */
async function measure(engineName: EngineName, caseName: CaseName, models: string): Promise<Measured> {
  const { inputs, path } = cases[caseName];
  const engine = await startEngine(engineName, path(models));
  const output = cases[caseName].output || (await outputOf(path(models)));
  const { runs } = engines[engineName];
  const pids = [process.pid, ...(engine instanceof ProcessEngine ? [engine.status.processes[0]?.pid ?? 0] : [])];
  const until = async (endMs: number): Promise<number> => {
    let count = 0;
    while (performance.now() < endMs) {
      const { parts } = await engine.run({ parts: [inputs()], outputs: [output] });
      if (parts[0]?.kind !== 'Done') throw new Error(`the run failed: ${JSON.stringify(parts[0])}`);
      count += 1;
    }
    return count;
  };
  const span = async (): Promise<number> => {
    const end = performance.now() + spanMs;
    const counts = await Promise.all(Array.from({ length: runs }, () => until(end)));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  await span();
  const [cpu, began] = [cpuSeconds(pids), performance.now()];
  const count = await span();
  const seconds = (performance.now() - began) / 1000;
  const used = cpuSeconds(pids) - cpu;
  const megabytes = memoryMegabytes(pids);
  await engine.close();
  return { cpuMs: (1000 * used) / count, perSecond: count / seconds, megabytes };
}

async function startEngine(name: EngineName, graphPath: string): Promise<Engine> {
  const { kind, runs } = engines[name];
  const threads = { workers: runs, threadsPerWorker: 1, spin: 'Off' } as const;
  const options = sessionOptions({
    ...givenConfig({ memory: { arena: 'On' } }),
    threads,
    signature: { inputs: [], outputs: [] },
    optimized: false,
  });
  const common = { model: 'm', clock: systemClock, logger: silentLogger };
  const task = { graphPath, options, nice: 0 };
  if (kind === 'pool') return WorkerPool.start({ ...common, workers: runs, task });
  return ProcessEngine.start({ ...common, processes: 1, runsPerProcess: runs, task });
}

async function outputOf(path: string): Promise<string> {
  const { inspectModel } = await import('../runtime/onnx/inspect.ts');
  const { outputs } = await inspectModel(path);
  return outputs[0]?.name ?? '';
}

/** User and system time of these processes, with all their threads. */
function cpuSeconds(pids: readonly number[]): number {
  const ticksPerSecond = 100;
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }, 0);
}

/** Anonymous memory of these processes and their shares of shared memory. */
function memoryMegabytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1]);
    return sum + (kilobytes('Pss_Anon') + kilobytes('Pss_Shmem')) / 1024;
  }, 0);
}

async function bench(given: string, rounds: number): Promise<void> {
  const models = await mkdtemp(join(tmpdir(), 'engines-'));
  try {
    await writeModel(models, residual(), 'tiny.onnx');
    for (const caseName of Object.keys(cases) as CaseName[]) {
      print(caseName, await measureRounds(caseName, rounds, caseName === 'tiny MLP' ? models : given));
    }
  } finally {
    await rm(models, { recursive: true, force: true });
  }
}

async function measureRounds(
  caseName: CaseName,
  rounds: number,
  folder: string,
): Promise<ReadonlyMap<EngineName, readonly Measured[]>> {
  const seen = new Map<EngineName, Measured[]>();
  for (let round = 0; round < rounds; round += 1)
    for (const name of Object.keys(engines) as EngineName[])
      seen.set(name, [...(seen.get(name) ?? []), await measureApart(name, caseName, folder)]);
  return seen;
}

async function measureApart(...values: [EngineName, CaseName, string]): Promise<Measured> {
  const { stdout } = await promisify(execFile)(process.execPath, [self, '--one', ...values], {
    env: { ...process.env, ...nativeEnvironment },
  });
  return JSON.parse(stdout) as Measured;
}

function print(caseName: CaseName, seen: ReadonlyMap<EngineName, readonly Measured[]>): void {
  const of = (name: EngineName, key: keyof Measured): number =>
    median((seen.get(name) ?? []).map((measured) => measured[key]));
  process.stdout.write(`\n${caseName}\n`);
  for (const name of seen.keys()) {
    const numbers = [
      `${of(name, 'cpuMs').toFixed(3)} ms CPU`,
      `${of(name, 'perSecond').toFixed(0)} runs/s`,
      `${of(name, 'megabytes').toFixed(0)} MB`,
    ];
    process.stdout.write(`  ${name.padEnd(20)} ${numbers.map((text) => text.padStart(16)).join('')}\n`);
  }
  const more = (two: EngineName, one: EngineName): string => (of(two, 'megabytes') - of(one, 'megabytes')).toFixed(1);
  process.stdout.write(
    `  second run at once: pool ${more('pool, 2 workers', 'pool, 1 worker')} MB, ` +
      `process ${more('1 process, 2 runs', '1 process, 1 run')} MB\n`,
  );
}

const [first, ...others] = process.argv.slice(2);
if (first === undefined) {
  process.stderr.write('usage: npm run bench:engines -- MODELS_DIR [ROUNDS]\n');
  process.exitCode = 2;
} else if (first === '--one')
  process.stdout.write(JSON.stringify(await measure(...(others as [EngineName, CaseName, string]))));
else await bench(first, Number(others[0] ?? 3));
