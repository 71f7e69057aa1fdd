/**
 * Compares the model server with a simple server (ONNX Runtime on the HTTP thread), and measures how long a liveness
 * probe waits while every core is busy.
 * `npm run bench:server -- [ROUNDS]` prints ratios of medians. The servers are measured alternately, so that other load
 * of the machine affects all of them. An idle server is probed at the same time; only the machine can make these probes
 * wait.
 * Read: absolute numbers depend on the machine. The ratios and the limit of 50 ms for a probe do not.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeEnvironment } from '../api/names.ts';
import { writeModel } from '../test/support/onnx-models.ts';
import { binaryShot, jsonShot, load, median, probe, quantile, type Shot, type Target } from './support/load.ts';
import { mlp } from './support/mlp.ts';

type Server = Target & { readonly child: ChildProcess };
type Sample = {
  readonly soloMs: number;
  readonly perSecond: number;
  readonly failed: number;
  readonly healthMs: readonly number[];
  readonly idleMs: readonly number[];
};

/**
 * `ours` has the Throughput profile: one worker for each CPU. `latency` has one worker with all CPUs. The naive server
 * also has one session with all CPUs.
 */
const programs = {
  naive: { file: 'support/naive-server.ts', args: [] },
  ours: { file: 'support/our-server.ts', args: [] },
  latency: { file: 'support/our-server.ts', args: ['1', String(availableParallelism())] },
} as const;
const spanMs = 3000;
const probeEveryMs = 20;

async function start(program: keyof typeof programs, model: string): Promise<Server> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(programs[program].file, import.meta.url)), model, ...programs[program].args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...nativeEnvironment },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => resolve(Number(/port (\d+)/.exec(chunk.toString())?.[1])));
    child.on('exit', () => reject(new Error(`${program} ended before it listened`)));
  });
  return { child, port };
}

/** Starts an idle server. When a probe to this server waits, the machine is the only cause. */
async function idle(): Promise<Target & { readonly close: () => void }> {
  const server = createServer((_request, response) => response.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}

async function measure(target: Target, shot: Shot, clients: number): Promise<Sample> {
  const quiet = await idle();
  const solo = await load(target, shot, { clients: 1, ms: spanMs / 3 });
  const [ours, other] = [probe(target, probeEveryMs), probe(quiet, probeEveryMs)];
  const crowd = await load(target, shot, { clients, ms: spanMs });
  const [healthMs, idleMs] = [await ours.stop(), await other.stop()];
  quiet.close();
  return {
    soloMs: median(solo.latenciesMs),
    perSecond: crowd.perSecond,
    failed: solo.failed + crowd.failed,
    healthMs,
    idleMs,
  };
}

async function sample(program: keyof typeof programs, model: string, shot: Shot, clients: number): Promise<Sample> {
  const server = await start(program, model);
  try {
    return await measure(server, shot, clients);
  } finally {
    server.child.kill('SIGKILL');
  }
}

const ms = (value: number): string => `${value.toFixed(1)} ms`;
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function sayHealth(label: string, samples: readonly Sample[]): void {
  const [health, quiet] = [samples.flatMap(({ healthMs }) => healthMs), samples.flatMap(({ idleMs }) => idleMs)];
  const late = health.filter((wait) => wait > 50).length;
  say(
    `  ${label}: a probe waits ${ms(quantile(health, 0.5))} (p50), ${ms(quantile(health, 0.99))} (p99), ` +
      `${ms(Math.max(...health))} (max); ${late} of ${health.length} over 50 ms`,
  );
  say(
    `    an idle server at the same time: ${ms(quantile(quiet, 0.5))}, ${ms(quantile(quiet, 0.99))}, ` +
      `${ms(Math.max(...quiet))}`,
  );
}

async function compare(label: string, model: string, width: number, rounds: number): Promise<void> {
  const samples = { naive: [] as Sample[], ours: [] as Sample[], latency: [] as Sample[] };
  for (let round = 0; round < rounds; round += 1) {
    for (const program of ['naive', 'ours', 'latency'] as const)
      samples[program].push(await sample(program, model, binaryShot(width), 32));
  }
  const ratio = (which: 'ours' | 'latency', of: (one: Sample) => number): string =>
    `${(median(samples[which].map(of)) / median(samples.naive.map(of))).toFixed(2)}x`;
  say(`${label}: ours to naive, medians of ${rounds}`);
  for (const [which, profile] of [
    ['ours', 'Throughput'],
    ['latency', 'Latency'],
  ] as const) {
    say(
      `  profile ${profile}: requests per second of 32 clients ${ratio(which, ({ perSecond }) => perSecond)}, ` +
        `latency of a single client ${ratio(which, ({ soloMs }) => soloMs)}`,
    );
  }
  sayHealth('naive', samples.naive);
  sayHealth('ours', [...samples.ours, ...samples.latency]);
  const failed = samples.ours.reduce((sum, one) => sum + one.failed, 0);
  if (failed > 0) throw new Error(`${failed} requests failed`);
}

async function floodWithJson(model: string, width: number, rounds: number): Promise<void> {
  const samples: Sample[] = [];
  // Each request has about four megabytes of JSON, because a number takes about nine characters.
  for (let round = 0; round < rounds; round += 1)
    samples.push(await sample('ours', model, jsonShot(width, Math.floor(4e6 / (9 * width))), 6));
  say('large JSON requests to a large model');
  sayHealth('ours', samples);
}

const asked = process.argv[2] ?? '3';
const rounds = Number(asked);
if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
  say(
    'Usage: npm run bench:server -- [ROUNDS]\n\nCompares the model server with ONNX Runtime on the HTTP thread; ' +
      'ROUNDS (1 to 100, default 3) of about half a minute each.',
  );
  process.exit(asked === '--help' ? 0 : 2);
}
const folder = await mkdtemp(join(tmpdir(), 'bench-'));
try {
  const middle = await writeModel(folder, mlp({ layers: 4, width: 512, hidden: 2048 }), 'middle.onnx');
  const large = await writeModel(folder, mlp({ layers: 8, width: 1024, hidden: 4096 }), 'large.onnx');
  await compare('34 MB model', middle, 512, rounds);
  await compare('268 MB model', large, 1024, rounds);
  await floodWithJson(large, 1024, rounds);
} finally {
  await rm(folder, { recursive: true, force: true });
}
