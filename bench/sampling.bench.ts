/**
 * What sampling and replaying cost users. A sample is a user's request that the server keeps with its answer; a replay
 * sends a sample to the server of another revision. The bench measures the throughput and latency of the model server
 * in two situations: while it keeps samples of 0, 5 and 100 % of its requests, and while replays are sent to it.
 * Use: `npm run bench:sampling -- [ROUNDS]`. It prints the medians over the rounds, divided by the median of the same
 * server without samples or replays. Each round measures every setting, so that other load of the machine affects all
 * settings.
 * Read: the first setting is measured twice per round, the second time under the name `again`. The distance of `again`
 * from 1.00 is the measurement error.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request as send } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeEnvironment } from '../api/names.ts';
import { besideHeader } from '../runtime/call/beside.ts';
import { pauseTimes } from '../runtime/sidecar/replay/replayer.ts';
import { withToken } from '../test/support/door.ts';
import { writeModel } from '../test/support/onnx-models.ts';
import { binaryShot, load, median, post, quantile, type Shot } from './support/load.ts';
import { mlp } from './support/mlp.ts';

type Server = { readonly child: ChildProcess; readonly port: number; readonly metricsPort: number };
type Sample = {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The server's CPU time per request, in milliseconds. */ readonly cpuMs: number;
};

const spanMs = 1000;
const askEveryMs = 1000;
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function start(model: string, workers: number): Promise<Server> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('support/our-server.ts', import.meta.url)), model, String(workers)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...nativeEnvironment },
    },
  );
  const [port, metricsPort] = await new Promise<readonly number[]>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) =>
      resolve((/port (\d+) metrics (\d+)/.exec(chunk.toString()) ?? []).slice(1).map(Number)),
    );
    child.on('exit', () => reject(new Error('the server ended before it listened')));
  });
  return { child, port: port ?? 0, metricsPort: metricsPort ?? 0 };
}

/**
 * Sends the requests that a sidecar sends once a second: one request for the counters, and one request for samples for
 * each of two candidates. @returns a function that stops the requests
 */
function sidecar({ metricsPort }: Server, share: number): () => void {
  const ask = (method: string, path: string): void => {
    send(
      { host: '127.0.0.1', port: metricsPort, method, path, headers: { 'content-length': '0', ...withToken } },
      (response) => response.resume(),
    )
      .on('error', () => {})
      .end();
  };
  const turn = (): void => {
    ask('GET', `/counters?sample=${share}`);
    for (let candidate = 0; share > 0 && candidate < 2; candidate += 1) ask('POST', '/samples?max=2');
  };
  turn();
  const timer = setInterval(turn, askEveryMs);
  return () => clearInterval(timer);
}

/**
 * Replays one request after the other, as the sidecar's Replayer does.
 * @param times the pause after each request, as a multiple of the request's duration; undefined: no replays
 * @returns a function that stops the replays and returns their number
 */
function replays({ metricsPort }: Server, shot: Shot, times: number | undefined): () => Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let [done, stopped] = [0, times === undefined];
  const loop = async (): Promise<void> => {
    while (!stopped) {
      const at = performance.now();
      const status = await post(
        { port: metricsPort },
        { ...shot, headers: { ...shot.headers, ...withToken, [besideHeader]: '1' } },
        agent,
      );
      if (status === 200) done += 1;
      await new Promise((resolve) =>
        setTimeout(resolve, status === 200 ? (performance.now() - at) * (times ?? 0) : 200),
      );
    }
  };
  const ended = loop();
  return async () => {
    stopped = true;
    await ended;
    agent.destroy();
    return done;
  };
}

/** Milliseconds of CPU time that the server process has used since its start. */
async function cpuMs({ metricsPort }: Server): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  return Number(/^process_cpu_seconds_total\S* (\S+)$/m.exec(text)?.[1]) * 1000;
}

async function measure(server: Server, shot: Shot, clients: number): Promise<Sample> {
  const before = await cpuMs(server);
  const { perSecond, latenciesMs, failed } = await load(server, shot, { clients, ms: spanMs });
  if (failed > 0) throw new Error(`${failed} requests failed`);
  return sampleOf(perSecond, latenciesMs, (await cpuMs(server)) - before);
}

function sampleOf(perSecond: number, latenciesMs: readonly number[], usedMs: number): Sample {
  return {
    perSecond,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    cpuMs: usedMs / latenciesMs.length,
  };
}

/** Measures with one client that sends at random times. The server is busy for about a third of the time. */
async function measureSparse(server: Server, shot: Shot, typicalMs: number): Promise<Sample> {
  const agent = new Agent({ keepAlive: true });
  const latenciesMs: number[] = [];
  const waiting: Promise<void>[] = [];
  const [began, before] = [performance.now(), await cpuMs(server)];
  while (performance.now() - began < 4 * spanMs) {
    const at = performance.now();
    waiting.push(post(server, shot, agent).then(() => void latenciesMs.push(performance.now() - at)));
    await new Promise((resolve) => setTimeout(resolve, -Math.log(1 - Math.random()) * 3 * typicalMs));
  }
  await Promise.all(waiting);
  agent.destroy();
  return sampleOf((latenciesMs.length / (4 * spanMs)) * 1000, latenciesMs, (await cpuMs(server)) - before);
}

function table(samples: ReadonlyMap<string, readonly Sample[]>): void {
  const [base] = samples.values();
  const of = (list: readonly Sample[] | undefined, field: keyof Sample): number =>
    median((list ?? []).map((sample) => sample[field]));
  for (const [name, list] of samples) {
    const ratio = (field: keyof Sample): string => (of(list, field) / of(base, field)).toFixed(3);
    say(
      `  ${name.padEnd(28)} throughput ${ratio('perSecond')}  p50 ${ratio('p50Ms')}  p99 ${ratio('p99Ms')}  CPU a ` +
        `request ${ratio('cpuMs')}`,
    );
  }
}

async function sampling(label: string, model: string, shot: Shot, rounds: number): Promise<void> {
  const server = await start(model, 2);
  const samples = new Map<string, Sample[]>([
    ['no samples', []],
    ['no samples, again', []],
    ['samples of 5 %', []],
    ['samples of all', []],
  ]);
  await measure(server, shot, 16);
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, share] of [
      ['no samples', 0],
      ['samples of 5 %', 0.05],
      ['samples of all', 1],
      ['no samples, again', 0],
    ] as const) {
      const end = sidecar(server, share);
      samples.get(name)?.push(await measure(server, shot, 16));
      end();
    }
  }
  server.child.kill('SIGKILL');
  say(`${label}, 16 clients: ratios to no samples, medians of ${rounds}`);
  table(samples);
}

async function replaying(label: string, model: string, shot: Shot, rounds: number): Promise<void> {
  const samples = new Map<string, Sample[]>([
    ['no replays', []],
    ['no replays, again', []],
    ['replays with pauses', []],
    ['replays without pause', []],
  ]);
  const server = await start(model, 1);
  const typicalMs = (await measure(server, shot, 1)).p50Ms;
  const counts: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, times] of [
      ['no replays', undefined],
      ['replays with pauses', pauseTimes],
      ['no replays, again', undefined],
      ['replays without pause', 0],
    ] as const) {
      const end = replays(server, shot, times);
      samples.get(name)?.push(await measureSparse(server, shot, typicalMs));
      const done = await end();
      if (times === pauseTimes) counts.push(done);
    }
  }
  server.child.kill('SIGKILL');
  say(
    `${label}, one worker, requests at random moments, ${typicalMs.toFixed(1)} ms each, busy a third of the time; ` +
      `${median(counts)} replays in ${(4 * spanMs) / 1000} s: ratios to no replays, medians of ${rounds}`,
  );
  table(samples);
}

const asked = process.argv[2] ?? '15';
const rounds = Number(asked);
if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
  say(
    'Usage: npm run bench:sampling -- [ROUNDS]\n\nMeasures what sampling and replaying cost users; ROUNDS (1 to 100, ' +
      'default 15) of about half a minute each.',
  );
  process.exit(asked === '--help' ? 0 : 2);
}
const folder = await mkdtemp(join(tmpdir(), 'bench-'));
try {
  const small = await writeModel(folder, mlp({ layers: 1, width: 16, hidden: 16 }), 'small.onnx');
  const middle = await writeModel(folder, mlp({ layers: 4, width: 512, hidden: 2048 }), 'middle.onnx');
  await sampling('small requests to a tiny model', small, binaryShot(16), rounds);
  await sampling('bodies of 512 KiB to a tiny model', small, binaryShot(16, 8192), rounds);
  await sampling('34 MB model', middle, binaryShot(512), rounds);
  await replaying('34 MB model', middle, binaryShot(512), rounds);
} finally {
  await rm(folder, { recursive: true, force: true });
}
