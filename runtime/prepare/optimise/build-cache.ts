/**
 * Determines how a model runs on this machine, and builds the optimised form that all sessions share.
 *
 * Owns:   the order: probe providers → load and run the original → write the optimised form, with weights laid out for
 *         this CPU in a file that sessions memory-map → run the optimised form and compare its outputs. Each step runs
 *         in a child process, so that a crash or a memory peak does not affect this process. The result is cached under
 *         a key of model, options, ONNX Runtime and CPU.
 * Throws: PROVIDER_UNAVAILABLE, ENGINE_LOAD_FAILED, MODEL_TOO_LARGE. A problem of the optimised form is not an error: a
 *         note gives the reason, and the original is served.
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import type { ProviderUse } from '../../../api/report.ts';
import type { ProviderName } from '../../../api/choices.ts';
import type { ExecutionConfig, MemoryConfig } from '../../../api/runtime-config.ts';
import type { Logger } from '../../../lib/log.ts';
import { modelBytes } from '../../onnx/build.ts';
import { inspectModel } from '../../onnx/inspect.ts';
import type { ModelInfo } from '../../onnx/model-info.ts';
import { measureAllocation } from './measure-allocation.ts';
import { files, keepBuild, readBuild } from './build-store.ts';
import { providerShares } from './profile.ts';
import { planProviders, providersToProbe, type ProviderPlan } from '../../engine/providers.ts';
import { guessedLoadBytes, sufficientLimit } from '../../config/limits.ts';
import type { AllocationMeasurement } from '../../config/allocation.ts';
import { hasFreeShape } from '../../engine/signature.ts';
import { sessionOptions, type SessionOptions } from '../../engine/session-options.ts';
import type { TrialTask } from './trial-messages.ts';
import { fills, rowCounts } from '../../engine/trial-inputs.ts';
import { whyNotOptimise } from './why-not-optimise.ts';
import { timeoutMs, wordsOf } from './trial-words.ts';
import { anonymousBytes, runTrial, type TrialOutcome, type TrialDeps } from './trial.ts';

export type BuildJob = {
  readonly graphPath: string;
  /** The model's name in errors. */
  readonly name: string;
  readonly info: ModelInfo;
  readonly execution: ExecutionConfig;
  readonly memory: MemoryConfig;
  /** The memory limit of this process and its children together; absent without a limit. */
  readonly limitBytes?: number;
  /**
   * Time limit for the runs of one trial, in milliseconds; a model that exceeds it would exceed its warm-up timeout
   * too.
   */
  readonly runsMs: number;
  /** Minimum bytes of weights for which an optimised form is built. */
  readonly optimiseFromBytes: number;
  /** `optimised/<key>` of the cache; created if needed. */
  readonly folder: string;
  readonly deps: TrialDeps & { readonly logger: Logger };
};

export type BuildResult = {
  readonly providerChain: readonly ProviderName[];
  /** Session config entries that the provider chain requires in addition to the spec's entries. */
  readonly sessionConfig: Readonly<Record<string, string>>;
  /**
   * The providers that ran the model's nodes, largest share first; empty when the model could not be run on generated
   * inputs.
   */
  readonly providers: readonly ProviderUse[];
  /** Path of the optimised graph; absent when no optimised form was built. */
  readonly optimisedPath?: string;
  /** Peak of anonymous memory while loading and running the served form in a process of its own. */
  readonly memoryEstimateBytes: number;
  /** The measured CPU time, page faults and memory of each way in which sessions can get memory. */
  readonly allocation: AllocationMeasurement;
  readonly notes: readonly string[];
  /** The folder that holds the build. */
  readonly folder: string;
};

const profileLimitBytes = 64 * 2 ** 20;

/** @returns the result of this build, or of an earlier build in the same folder */
export async function buildCache(asked: BuildJob): Promise<BuildResult> {
  const job = await withRoom(asked);
  const before = (await readBuild(job.folder)) as Stored | undefined;
  if (before !== undefined) return withPath(before, job.folder);
  // Files without a result belong to an interrupted build.
  await rm(job.folder, { recursive: true, force: true });
  const scratch = `${job.folder}.making`;
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  try {
    const built = await build(job, scratch);
    const result = { ...built.stored, allocation: await allocationOf(job, built, scratch) };
    await keepBuild(scratch, job.folder, result);
    return withPath(result, job.folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** `roomBytes`: the memory that the limit leaves for a child process, next to the memory of this process. */
type Building = BuildJob & { readonly roomBytes?: number };

async function withRoom(job: BuildJob): Promise<Building> {
  // A twentieth of the limit stays free, so that this process stops the child before the kernel kills either process.
  return job.limitBytes === undefined
    ? job
    : { ...job, roomBytes: Math.max(0, job.limitBytes * 0.95 - (await anonymousBytes(process.pid))) };
}

type Stored = Omit<BuildResult, 'optimisedPath' | 'folder'> & { readonly optimised: boolean };
type Served = Omit<Stored, 'allocation'>;
type Built = { readonly stored: Served; readonly plan: ProviderPlan; readonly ran: boolean };

async function allocationOf(
  job: Building,
  { stored, plan, ran }: Built,
  scratch: string,
): Promise<AllocationMeasurement> {
  const { info, memory } = job;
  return await measureAllocation({
    graphPath: stored.optimised ? join(scratch, files.graph) : job.graphPath,
    optionsFor: ({ arena }) =>
      optionsFor({ ...job, memory: { ...memory, arena: arena ? 'On' : 'Off' } }, plan, stored.optimised),
    inputs: info.inputs,
    outputs: info.outputs.map(({ name }) => name),
    mode: memory.arena,
    varies: hasFreeShape(info),
    provider: plan.chain[0] ?? 'CPU',
    ran,
    ...(job.roomBytes === undefined ? {} : { memoryBytes: job.roomBytes }),
    deps: job.deps,
  });
}

async function build(job: Building, scratch: string): Promise<Built> {
  const notes: string[] = [];
  const { plan, outcome } = await loadOriginal(job, scratch, notes);
  const ran = outcome.kind === 'Done' && outcome.result.made.length > 0;
  if (!ran)
    notes.push(
      'the model could not be run on generated inputs, so providers and memory were not measured: ' +
        `${outcome.kind === 'Done' ? (outcome.result.why ?? 'no input could be generated') : wordsOf(outcome)}`,
    );
  const providers = await readShares(scratch);
  noteOtherProviders(plan, providers, notes);
  const built = (stored: Served): Built => ({ stored, plan, ran });
  const base = { providerChain: plan.chain, sessionConfig: plan.sessionConfig, providers };
  const {
    info: { weightsBytes },
    optimiseFromBytes: fromBytes,
    roomBytes,
  } = job;
  const refusal = whyNotOptimise({
    first: plan.chain[0] ?? 'CPU',
    weightsBytes,
    fromBytes,
    ran,
    peakBytes: outcome.peakBytes,
    roomBytes,
  });
  if (refusal !== undefined)
    return built({ ...base, ...whenPlain(outcome, refusal.note === undefined ? notes : [...notes, refusal.note]) });
  const made = await optimise(job, plan, scratch);
  if ('problem' in made) {
    job.deps.logger.warn('optimised model was discarded', { model: job.name, problem: made.problem });
    return built({
      ...base,
      ...whenPlain(outcome, [...notes, `serving the original model, without shared weights: ${made.problem}`]),
    });
  }
  return built({ ...base, optimised: true, memoryEstimateBytes: made.peakBytes, notes });
}

function whenPlain(
  outcome: TrialOutcome,
  notes: readonly string[],
): Pick<Stored, 'optimised' | 'memoryEstimateBytes' | 'notes'> {
  return { optimised: false, memoryEstimateBytes: outcome.peakBytes, notes };
}

/**
 * Finds the available providers, then loads and runs the original model. If the model does not load, removes the first
 * provider and loads the model again.
 */
async function loadOriginal(
  job: Building,
  scratch: string,
  notes: string[],
): Promise<{ plan: ProviderPlan; outcome: TrialOutcome }> {
  const missing = await probe(job, scratch, notes);
  let plan = planProviders(job.execution, missing);
  for (;;) {
    const outcome = await tryOriginal(job, plan, scratch);
    if (isLoaded(outcome)) return { plan, outcome };
    const [first = 'CPU'] = plan.chain;
    if (first === 'CPU') throw loadFailure(job, outcome);
    if (job.execution.fallbackPolicy === 'Forbid') throw await forbidden(job, scratch, { provider: first, outcome });
    notes.push(
      `the model could not be loaded with ${first} (${wordsOf(outcome)}): using ${plan.chain[1] ?? 'CPU'} instead`,
    );
    missing.add(first);
    plan = planProviders(job.execution, missing);
  }
}

/** Loads a tiny model with each provider alone: a failure is then caused by the provider, not by the model. */
async function probe(job: Building, scratch: string, notes: string[]): Promise<Set<ProviderName>> {
  const missing = new Set<ProviderName>();
  const path = join(scratch, 'probe.onnx');
  for (const provider of providersToProbe(job.execution)) {
    await writeFile(path, modelBytes(probeModel));
    const plan = { chain: [provider], sessionConfig: {} };
    const outcome = await runTrial({ graphPath: path, options: optionsFor(job, plan, false) }, { timeoutMs }, job.deps);
    if (outcome.kind === 'Done') continue;
    if (job.execution.fallbackPolicy === 'Forbid')
      throw new AppError('PROVIDER_UNAVAILABLE', { provider, why: wordsOf(outcome) });
    missing.add(provider);
    notes.push(`execution provider ${provider} cannot be used here (${wordsOf(outcome)})`);
    job.deps.logger.warn('execution provider is not available', { provider, why: wordsOf(outcome) });
  }
  return missing;
}

const probeModel = {
  opset: 17,
  graph: {
    name: 'probe',
    nodes: [{ op: 'Add', inputs: ['x', 'x'], outputs: ['y'] }],
    inputs: [{ name: 'x', type: 'float32', shape: [1, 4] }],
    outputs: [{ name: 'y', type: 'float32', shape: [1, 4] }],
  },
} as const;

async function tryOriginal(job: Building, plan: ProviderPlan, scratch: string): Promise<TrialOutcome> {
  const options = {
    ...optionsFor(job, plan, false),
    enableProfiling: true,
    profileFilePrefix: join(scratch, 'profile'),
  };
  return await trial(job, { graphPath: job.graphPath, options, runs: runsOf(job), writeTo: join(scratch, 'outputs') });
}

/**
 * The error to throw when a load failed and fallbackPolicy is Forbid. Either the model or the provider caused the
 * failure; loading the model on the CPU shows which of them.
 */
async function forbidden(
  job: Building,
  scratch: string,
  failed: { provider: ProviderName; outcome: TrialOutcome },
): Promise<AppError> {
  const onCpu = await tryOriginal(job, { chain: ['CPU'], sessionConfig: {} }, scratch);
  if (!isLoaded(onCpu)) return loadFailure(job, onCpu);
  return new AppError('PROVIDER_UNAVAILABLE', {
    provider: failed.provider,
    why: `it cannot run the whole model: ${wordsOf(failed.outcome)}`,
  });
}

/**
 * True also for a trial that died or was too slow during a run: the model was loaded by then, and the generated input
 * may be the cause.
 */
function isLoaded(outcome: TrialOutcome): boolean {
  return (
    outcome.kind === 'Done' || ((outcome.kind === 'Died' || outcome.kind === 'TooSlow') && outcome.during === 'run')
  );
}

function loadFailure(job: Building, outcome: TrialOutcome): AppError {
  const { limitBytes } = job;
  // A SIGKILL that this process did not send comes from the kernel, which is out of memory.
  const short = outcome.kind === 'TooLarge' || (outcome.kind === 'Died' && outcome.how.startsWith('SIGKILL'));
  // A child that was stopped at the limit does not show how much memory the model needs, so the need is estimated from
  // the weights. The memory of this process is added.
  const heldBytes = (limitBytes ?? 0) - (job.roomBytes ?? limitBytes ?? 0);
  const loadBytes = Math.max(outcome.peakBytes, guessedLoadBytes(job.info.weightsBytes));
  if (short && limitBytes !== undefined)
    return new AppError('MODEL_TOO_LARGE', {
      file: job.name,
      needBytes: sufficientLimit(heldBytes, loadBytes, 0),
      limitBytes,
    });
  return new AppError('ENGINE_LOAD_FAILED', { file: job.name, why: wordsOf(outcome) });
}

/**
 * Minimum sizes, in bytes, of a weight that is stored in the shared file. The two sizes are tried in this order, and
 * the first size that works is used. Weights below 1 MiB are stored without padding, so a small weight of odd size
 * misaligns the next weight. Kernels that need aligned memory then crash (measured with a convolution net). ONNX
 * Runtime aligns weights from 1 MiB on.
 */
const shareFromBytes = [64 * 1024, 1024 * 1024 + 1] as const;

async function optimise(
  job: Building,
  plan: ProviderPlan,
  scratch: string,
): Promise<{ peakBytes: number } | { problem: string }> {
  let problem = '';
  for (const fromBytes of shareFromBytes) {
    const made = await optimiseFrom(fromBytes, { job, plan, scratch });
    if ('peakBytes' in made) return made;
    job.deps.logger.debug('optimised form failed its check', { model: job.name, fromBytes, problem: made.problem });
    ({ problem } = made);
  }
  return { problem };
}

/** Writes the optimised form, runs it on the inputs on which the original ran, and compares the outputs. */
async function optimiseFrom(
  fromBytes: number,
  { job, plan, scratch }: { job: Building; plan: ProviderPlan; scratch: string },
): Promise<{ peakBytes: number } | { problem: string }> {
  const graphPath = join(scratch, files.graph);
  const written = await trial(job, {
    graphPath: job.graphPath,
    options: savingTo(graphPath, optionsFor(job, plan, false), fromBytes),
  });
  if (written.kind !== 'Done') return { problem: `the optimised form could not be written: ${wordsOf(written)}` };
  // Whether an unaligned weight causes a crash depends on the request's shapes, so the trial alone cannot rule a crash
  // out.
  const { externalFiles } = await inspectModel(graphPath);
  if (externalFiles.some((file) => !file.aligned)) return { problem: 'weights in the optimised form are not aligned' };
  const checked = await trial(job, {
    graphPath,
    options: optionsFor(job, plan, true),
    runs: runsOf(job),
    compareWith: join(scratch, 'outputs'),
  });
  if (checked.kind !== 'Done') return { problem: `the optimised form could not be run: ${wordsOf(checked)}` };
  const { difference } = checked.result;
  return difference === undefined
    ? { peakBytes: checked.peakBytes }
    : { problem: `the optimised form's answers differ from the original's: ${difference}` };
}

function savingTo(graphPath: string, options: SessionOptions, fromBytes: number): Readonly<Record<string, unknown>> {
  const entries = {
    'session.optimized_model_external_initializers_file_name': files.weights,
    'session.optimized_model_external_initializers_min_size_in_bytes': String(fromBytes),
    'session.save_external_prepacked_constant_initializers': '1',
  };
  return { ...options, optimizedModelFilePath: graphPath, extra: { ...options.extra, ...entries } };
}

function optionsFor(job: Building, plan: ProviderPlan, optimized: boolean): SessionOptions {
  const providers = plan.chain.map(
    (name) => job.execution.providers.find((one) => one.name === name) ?? { name, options: {} },
  );
  const execution = {
    ...job.execution,
    providers,
    sessionConfig: { ...job.execution.sessionConfig, ...plan.sessionConfig },
  };
  return sessionOptions({
    execution,
    memory: job.memory,
    threads: { workers: 1, threadsPerWorker: 1, spin: 'Off' },
    signature: job.info,
    optimized,
  });
}

function runsOf(job: Building): NonNullable<TrialTask['runs']> {
  return { inputs: job.info.inputs, outputs: job.info.outputs.map(({ name }) => name), fills, rows: rowCounts };
}

function trial(job: Building, task: TrialTask): Promise<TrialOutcome> {
  return runTrial(
    task,
    { timeoutMs, runsMs: job.runsMs, ...(job.roomBytes === undefined ? {} : { memoryBytes: job.roomBytes }) },
    job.deps,
  );
}

function noteOtherProviders(plan: ProviderPlan, providers: readonly ProviderUse[], notes: string[]): void {
  const [first = 'CPU'] = plan.chain;
  const share = providers.find((use) => use.provider === first)?.nodes ?? 0;
  if (first !== 'CPU' && providers.length > 0 && share < 1)
    notes.push(`${Math.round((1 - share) * 100)} % of the nodes do not run on ${first}`);
}

async function readShares(scratch: string): Promise<ProviderUse[]> {
  const name = (await readdir(scratch)).find((one) => one.startsWith('profile'));
  if (name === undefined) return [];
  const path = join(scratch, name);
  return (await stat(path)).size > profileLimitBytes ? [] : providerShares(await readFile(path, 'utf8'));
}

function withPath({ optimised, ...result }: Stored, folder: string): BuildResult {
  return { ...result, folder, ...(optimised ? { optimisedPath: join(folder, files.graph) } : {}) };
}
