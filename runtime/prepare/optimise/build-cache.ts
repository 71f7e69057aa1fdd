/**
 * Finds out how a model runs on this machine, and makes the form of it that every session here shares.
 *
 * Owns:   the order: which providers are here → load and run the original → write the optimised form, with weights laid
 *         out for this CPU in a file that sessions map instead of copying → run that one and compare. Each in a child
 *         process, so that no crash and no peak of memory is this process's.
 * Level:  the result, good or bad, is kept in the folder and believed as long as its key is the same: model, options,
 *         ONNX Runtime, and CPU.
 * Throws: PROVIDER_UNAVAILABLE, ENGINE_LOAD_FAILED, MODEL_TOO_LARGE. A form that cannot be made is a note, no error.
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
import { files, keepBuild, readBuild } from './build-store.ts';
import { loadWords } from '../../engine/load-words.ts';
import { providerShares } from './profile.ts';
import { planProviders, providersToProbe, type ProviderPlan } from '../../engine/providers.ts';
import { guessedLoadBytes, sufficientLimit } from '../../config/limits.ts';
import { sessionOptions, type SessionOptions } from '../../engine/session-options.ts';
import type { TrialTask } from './trial-messages.ts';
import { fills, rowCounts } from '../../engine/trial-inputs.ts';
import { anonymousBytes, runTrial, type TrialOutcome, type TrialTools } from './trial.ts';

export type BuildJob = {
  readonly graphPath: string;
  /** How errors call the model. */
  readonly name: string;
  readonly info: ModelInfo;
  readonly execution: ExecutionConfig;
  readonly memory: MemoryConfig;
  /** What this process and its children may take together; absent without a limit. */
  readonly limitBytes?: number;
  /** What the runs of one trial may take together; a model that takes longer could not be warmed either. */
  readonly runsMs: number;
  /** Weights from this size on are worth an optimised form. */
  readonly optimiseFromBytes: number;
  /** `optimised/<key>` of the cache, made here if need be. */
  readonly folder: string;
  readonly tools: TrialTools & { readonly logger: Logger };
};

export type BuildResult = {
  readonly providerChain: readonly ProviderName[];
  /** Session config entries that the chain needs beside the spec's. */
  readonly sessionConfig: Readonly<Record<string, string>>;
  /** Largest share first; empty when no made-up input ran. */
  readonly providers: readonly ProviderUse[];
  /** The optimised graph; absent when there is none. */
  readonly optimisedPath?: string;
  /** Peak of anonymous memory of loading and running what is served, in a process of its own. */
  readonly memoryEstimateBytes: number;
  readonly notes: readonly string[];
};

const timeoutMs = 15 * 60_000;
const profileLimitBytes = 64 * 2 ** 20;

/** @returns what was found and made, now or at an earlier call with the same folder */
export async function buildCache(asked: BuildJob): Promise<BuildResult> {
  const job = await withRoom(asked);
  const before = (await readBuild(job.folder)) as Stored | undefined;
  if (before !== undefined) return withPath(before, job.folder);
  // What lies there without a result is of a build that was cut off.
  await rm(job.folder, { recursive: true, force: true });
  const scratch = `${job.folder}.making`;
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  try {
    const result = await build(job, scratch);
    await keepBuild(scratch, job.folder, result);
    return withPath(result, job.folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** `roomBytes`: what the limit leaves to a child beside this process, which waits for it. */
type Building = BuildJob & { readonly roomBytes?: number };

async function withRoom(job: BuildJob): Promise<Building> {
  // A twentieth stays free: the child is stopped before the kernel would have to choose between the two.
  return job.limitBytes === undefined
    ? job
    : { ...job, roomBytes: Math.max(0, job.limitBytes * 0.95 - (await anonymousBytes(process.pid))) };
}

type Stored = Omit<BuildResult, 'optimisedPath'> & { readonly optimised: boolean };

async function build(job: Building, scratch: string): Promise<Stored> {
  const notes: string[] = [];
  const { plan, outcome } = await loadOriginal(job, scratch, notes);
  const ran = outcome.is === 'Done' && outcome.result.made.length > 0;
  if (!ran)
    notes.push(
      'no made-up input could be run, so providers and memory are not measured in a run: ' +
        `${outcome.is === 'Done' ? (outcome.result.why ?? 'none was made') : wordsOf(outcome)}`,
    );
  const providers = await readShares(scratch);
  noteOtherProviders(plan, providers, notes);
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
    return { ...base, ...whenPlain(outcome, refusal.note === undefined ? notes : [...notes, refusal.note]) };
  const made = await optimise(job, plan, scratch);
  if ('problem' in made) {
    job.tools.logger.warn('optimised model was discarded', { model: job.name, problem: made.problem });
    return { ...base, ...whenPlain(outcome, [...notes, `served as it is, without shared weights: ${made.problem}`]) };
  }
  return { ...base, optimised: true, memoryEstimateBytes: made.peakBytes, notes };
}

function whenPlain(
  outcome: TrialOutcome,
  notes: readonly string[],
): Pick<Stored, 'optimised' | 'memoryEstimateBytes' | 'notes'> {
  return { optimised: false, memoryEstimateBytes: outcome.peakBytes, notes };
}

/**
 * Finds the providers, then loads and runs the original with them, taking one away where the model does not load with
 * it.
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
      `the model could not be loaded with ${first} (${wordsOf(outcome)}): fell back to ${plan.chain[1] ?? 'CPU'}`,
    );
    missing.add(first);
    plan = planProviders(job.execution, missing);
  }
}

/** Loads a tiny model with each provider alone: what fails then is the provider, not the model. */
async function probe(job: Building, scratch: string, notes: string[]): Promise<Set<ProviderName>> {
  const missing = new Set<ProviderName>();
  const path = join(scratch, 'probe.onnx');
  for (const provider of providersToProbe(job.execution)) {
    await writeFile(path, modelBytes(probeModel));
    const plan = { chain: [provider], sessionConfig: {} };
    const outcome = await runTrial(
      { graphPath: path, options: optionsFor(job, plan, false) },
      { timeoutMs },
      job.tools,
    );
    if (outcome.is === 'Done') continue;
    if (job.execution.fallbackPolicy === 'Forbid')
      throw new AppError('PROVIDER_UNAVAILABLE', { provider, why: wordsOf(outcome) });
    missing.add(provider);
    notes.push(`execution provider ${provider} cannot be used here (${wordsOf(outcome)})`);
    job.tools.logger.warn('execution provider is not available', { provider, why: wordsOf(outcome) });
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

/** Under Forbid a failed load may be the model's fault or the provider's: the CPU tells which. */
async function forbidden(
  job: Building,
  scratch: string,
  failed: { provider: ProviderName; outcome: TrialOutcome },
): Promise<AppError> {
  const onCpu = await tryOriginal(job, { chain: ['CPU'], sessionConfig: {} }, scratch);
  if (!isLoaded(onCpu)) return loadFailure(job, onCpu);
  return new AppError('PROVIDER_UNAVAILABLE', {
    provider: failed.provider,
    why: `it does not run the whole model: ${wordsOf(failed.outcome)}`,
  });
}

/** A process that died in a run had loaded the model; the made-up input may be to blame. */
function isLoaded(outcome: TrialOutcome): boolean {
  return outcome.is === 'Done' || ((outcome.is === 'Died' || outcome.is === 'TooSlow') && outcome.during === 'run');
}

function loadFailure(job: Building, outcome: TrialOutcome): AppError {
  const { limitBytes } = job;
  // Nobody but the kernel, short of memory, sends SIGKILL to a child that this process did not stop itself.
  const short = outcome.is === 'TooLarge' || (outcome.is === 'Died' && outcome.how.startsWith('SIGKILL'));
  // What was seen is where it was stopped: the need is told from the weights. What this process holds belongs to it,
  // too.
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

function wordsOf(outcome: TrialOutcome): string {
  switch (outcome.is) {
    case 'Done':
      return 'it works';
    case 'Refused':
      return loadWords(outcome.why).slice(0, 600);
    case 'Died':
      return `the process ended in mid-${outcome.during}: ${outcome.how}`;
    case 'TooLarge':
      return `it takes more memory than the limit (${outcome.peakBytes} bytes seen)`;
    case 'TooSlow':
      return outcome.during === 'load'
        ? `the load took more than ${timeoutMs / 60_000} minutes`
        : 'its runs took more than spec.warmup.timeout: one may never end';
  }
}

export type OptimiseFacts = {
  readonly first: ProviderName;
  readonly weightsBytes: number;
  readonly fromBytes: number;
  /** Whether the original ran on made-up inputs. */
  readonly ran: boolean;
  /** Of loading and running the original. */
  readonly peakBytes: number;
  readonly roomBytes: number | undefined;
};

/** @returns undefined when the optimised form is worth trying; without a note where nobody would expect one */
export function whyNotOptimise({
  first,
  weightsBytes,
  fromBytes,
  ran,
  peakBytes,
  roomBytes = Infinity,
}: OptimiseFacts): { readonly note?: string } | undefined {
  if (first !== 'CPU' || weightsBytes < fromBytes) return {};
  if (!ran)
    return { note: 'served as it is, without shared weights: without a run the optimised form cannot be checked' };
  // Writing the form holds the weights once more than loading does (measured: 3 times their size against 2).
  const needBytes = peakBytes + weightsBytes;
  if (needBytes <= roomBytes) return undefined;
  return {
    note:
      `served as it is, without shared weights: making the optimised form takes about ${needBytes} bytes, the ` +
      `memory limit leaves ${Math.floor(roomBytes)}`,
  };
}

/**
 * Weights from this size on go into the shared file, the smallest first. Up to 1 MiB they follow each other there
 * without padding, so that a small one of odd size puts the next out of line, and kernels that read aligned memory end
 * the process on those (measured with a convolution net). From 1 MiB on ONNX Runtime aligns each.
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
    job.tools.logger.debug('optimised form was not right', { model: job.name, fromBytes, problem: made.problem });
    ({ problem } = made);
  }
  return { problem };
}

/** Writes the optimised form and runs it again on the same inputs. */
async function optimiseFrom(
  fromBytes: number,
  { job, plan, scratch }: { job: Building; plan: ProviderPlan; scratch: string },
): Promise<{ peakBytes: number } | { problem: string }> {
  const graphPath = join(scratch, files.graph);
  const written = await trial(job, {
    graphPath: job.graphPath,
    options: savingTo(graphPath, optionsFor(job, plan, false), fromBytes),
  });
  if (written.is !== 'Done') return { problem: `the optimised form could not be written: ${wordsOf(written)}` };
  // Whether an unaligned weight is fatal depends on the shapes of a request: it must not be left to a trial.
  const { externalFiles } = await inspectModel(graphPath);
  if (externalFiles.some((file) => !file.aligned)) return { problem: 'weights in the optimised form are not aligned' };
  const checked = await trial(job, {
    graphPath,
    options: optionsFor(job, plan, true),
    runs: runsOf(job),
    compareWith: join(scratch, 'outputs'),
  });
  if (checked.is !== 'Done') return { problem: `the optimised form could not be run: ${wordsOf(checked)}` };
  const { difference } = checked.result;
  return difference === undefined
    ? { peakBytes: checked.peakBytes }
    : { problem: `the optimised form answers otherwise than the original: ${difference}` };
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
    job.tools,
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
  return optimised ? { ...result, optimisedPath: join(folder, files.graph) } : result;
}
