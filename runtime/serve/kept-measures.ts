/**
 * Keeps what the warm-up measured (memory and time of runs) beside the prepared model, so that a later start of the
 * same model reads it instead of measuring again: measuring takes seconds of CPU time.
 *
 * Owns:   the file, and what the measurements depend on (MeasuresKey). A file of another key, or one that is not valid,
 *         is not used; the log says why, and the next measurement replaces it.
 * Limits: reads at most `fileLimitBytes`. A file that cannot be written is logged: the model is served without it.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
import { k, type Infer } from '../../api/schema/builder.ts';
import { checkOf } from '../../api/schema/check.ts';
import { c } from '../../api/schema/contract.ts';
import type { Logger } from '../../lib/log.ts';
import { cpuName } from '../config/node-facts.ts';
import { runCost } from '../engine/run-cost.ts';
import { runMemory } from '../engine/run-memory.ts';
import { describeMachine } from '../prepare/optimise/build-key.ts';
import { measuresName } from '../prepare/optimise/build-store.ts';
import { errnoOf, writeAtomically } from '../prepare/cache/durable-file.ts';
import type { SessionOptions } from '../engine/session-options.ts';
import type { Threads } from '../engine/threads.ts';
import { measureModel, type MeasuringDeps, type ModelMeasures } from './measure-model.ts';

/** Everything that the measurements depend on, by name. Two keys are equal when all their values are. */
export type MeasuresKey = Readonly<Record<string, string>>;

/** Increase this when a field of the file, or the way of measuring, changes its meaning. */
const formVersion = '1';
const fileLimitBytes = 256 * 1024;

const bytes = (): ReturnType<typeof c.number> => c.number({ min: 0, max: 2 ** 53 });
const elements = (): ReturnType<typeof c.number> => c.number({ above: 0, max: 2 ** 40 });
const rows = (): ReturnType<typeof k.integer> => k.integer({ min: 1, max: 65_536 });
const fileSchema = k.object({
  key: c.table(c.text({ max: 4096 }), { keys: '^[a-z]+$', max: 32 }),
  memory: k.object({
    points: k.list(k.object({ elements: elements(), oneBytes: bytes(), rowBytes: bytes() }), { min: 1, max: 64 }),
    growth: k
      .object({ power: c.number({ above: 0, max: 2 }), rows: rows(), elements: elements(), bytes: bytes() })
      .optional(),
  }),
  cost: k.list(k.object({ elements: elements(), rows: rows(), ms: c.number({ above: 0, max: 1e9 }) }), { max: 256 }),
});
const faultOf = checkOf(fileSchema, 'Refuse');

/** What decides the measurements of a model. */
export type Measured = {
  /** Digest of the served model. */
  readonly model: string;
  readonly session: SessionOptions;
  readonly threads: Threads;
  readonly memory: {
    readonly limitBytes: number | undefined;
    /** True if a worker keeps the memory of its largest run. */
    readonly keeps: boolean;
    /** The thresholds of glibc; null when they are not set. */
    readonly thresholdBytes: number | null;
  };
  /** The generated inputs, and whether their rows may share a run. */
  readonly inputs: Pick<MeasuringDeps, 'fill' | 'maxFill' | 'maxRows' | 'independent'>;
};

/** @param cpuInfo text of /proc/cpuinfo */
export function measuresKey({ model, session, threads, memory, inputs }: Measured, cpuInfo: string): MeasuresKey {
  return {
    form: formVersion,
    model,
    cpu: cpuName(cpuInfo),
    // ONNX Runtime's version and the CPU's features. The list of features is long, so its hash is kept.
    machine: createHash('sha256').update(describeMachine()).digest('hex').slice(0, 16),
    session: JSON.stringify(session),
    threads: `${threads.workers} x ${threads.threadsPerWorker}`,
    memory: JSON.stringify([memory.limitBytes ?? null, memory.keeps, memory.thresholdBytes]),
    inputs: JSON.stringify([inputs.fill, inputs.maxFill ?? null, inputs.maxRows, inputs.independent]),
  };
}

export class KeptMeasures {
  readonly #folder: string | undefined;
  readonly #logger: Logger;

  /** @param folder of the build in the cache; undefined: nothing is kept */
  constructor(folder: string | undefined, logger: Logger) {
    this.#folder = folder;
    this.#logger = logger;
  }

  /** @returns undefined when nothing usable is kept for this key. Never rejects */
  async read(key: MeasuresKey): Promise<ModelMeasures | undefined> {
    if (this.#folder === undefined) return undefined;
    const path = join(this.#folder, measuresName);
    try {
      const text = await readBounded(path);
      if (text === undefined) return undefined;
      const { key: of, memory, cost } = parsed(text);
      const differing = Object.keys({ ...of, ...key }).filter((part) => of[part] !== key[part]);
      if (differing.length === 0)
        return { memory: runMemory(memory.points, memory.growth), cost: runCost(cost), complete: true };
      this.#logger.info('kept measurements do not apply, measuring again', { path, differing });
    } catch (error) {
      this.#logger.warn('kept measurements cannot be read, measuring again', { path, problem: messageOf(error) });
    }
    return undefined;
  }

  /** Replaces the kept measurements. Never rejects. Measurements that are not complete are not kept. */
  async keep(key: MeasuresKey, { memory, cost, complete }: ModelMeasures): Promise<void> {
    if (this.#folder === undefined || !complete) return;
    const { points, growth } = memory;
    const file: Infer<typeof fileSchema> = {
      key,
      memory: { points, ...(growth === undefined ? {} : { growth }) },
      cost: cost.points,
    };
    const path = join(this.#folder, measuresName);
    try {
      const fault = faultOf(file);
      if (fault !== undefined) throw new Error(`${fault.path} ${fault.problem}`);
      await writeAtomically(path, `${JSON.stringify(file)}\n`);
    } catch (error) {
      this.#logger.warn('measurements could not be kept: the next start measures again', {
        path,
        problem: messageOf(error),
      });
    }
  }
}

/**
 * Returns the measurements that an earlier start kept; otherwise measures and keeps the result.
 * @throws what the engine throws when a worker is lost
 */
export async function recallOrMeasure(
  kept: KeptMeasures,
  key: MeasuresKey,
  deps: MeasuringDeps,
): Promise<ModelMeasures & { readonly isRecalled: boolean }> {
  const recalled = await kept.read(key);
  if (recalled !== undefined) return { ...recalled, isRecalled: true };
  const measures = await measureModel(deps);
  await kept.keep(key, measures);
  return { ...measures, isRecalled: false };
}

function parsed(text: string): Infer<typeof fileSchema> {
  const value: unknown = JSON.parse(text);
  const fault = faultOf(value);
  if (fault !== undefined) throw new AppError('BAD_CONFIG', { where: fault.path, problem: fault.problem });
  return value as Infer<typeof fileSchema>;
}

/** @returns undefined when there is no file */
async function readBounded(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    if (size > fileLimitBytes) throw new Error(`the file has ${size} bytes; the limit is ${fileLimitBytes} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
