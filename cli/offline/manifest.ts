/**
 * The gates and steps of an OnnxModel in a YAML or JSON file.
 *
 * Terms: A gate limits a measure, such as the latency of a candidate; the gate plan is the gates with their limits. A
 * block is 20 seconds.
 * Owns: the checks of the fields that `replay` uses; other fields are not checked.
 * Limits: files up to 1 MiB.
 * Throws: FILE_UNREADABLE; BAD_CONFIG with the file; FIELD_INVALID with the field.
 */
import { readFileSync, statSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { AppError, messageOf } from '../../api/errors.ts';
import { api } from '../../api/names.ts';
import { present } from '../../api/present.ts';
import { parseDurationMs } from '../../api/units.ts';
import { blockSeconds, confidences } from '../../operator/analysis/constants.ts';
import { gateParts } from '../../operator/analysis/gate-kinds/kinds.ts';
import {
  planOf,
  shadowOf,
  type Confidence,
  type GatesSpec,
  type GatePlan,
  type StepSpec,
} from '../../operator/analysis/plan.ts';

export type JudgedModel = {
  readonly name: string;
  /** The gate plan of the last analyze or shadow step. */
  readonly plan: GatePlan;
  /** `require` of the step that `plan` belongs to. */
  readonly require: 'NoFail' | 'Pass';
  /** Maximum duration of the step, in blocks of 20 s. Absent: 30 minutes, the default of maxDuration. */
  readonly maxBlocks?: number;
};

const fileLimitBytes = 1 << 20;

/** Reads the model that is judged. @param name the model's name; required when the file has several models */
export function readJudgedModel(path: string, name?: string): JudgedModel {
  const model = onlyModel(path, name);
  const rollout = object(object(model['spec'] ?? {}, 'spec')['rollout'] ?? {}, 'spec.rollout');
  const steps = stepsOf(rollout['steps']);
  return { name: nameOf(model), ...lastJudged(planOf(gatesOf(rollout['gates']), steps), steps ?? []) };
}

function lastJudged(plan: GatePlan, steps: readonly TimedStep[]): Omit<JudgedModel, 'name'> {
  const last = steps.findLast(({ analyze, shadow }) => (analyze ?? shadow) !== undefined);
  const { require = 'Pass', maxBlocks } = last?.analyze ?? last?.shadow ?? {};
  return { plan: last?.shadow === undefined ? plan : shadowOf(plan), require, ...present({ maxBlocks }) };
}

function onlyModel(path: string, name: string | undefined): Fields {
  const models = documentsOf(path).filter(
    (document): document is Fields => isObject(document) && document['kind'] === api.kind,
  );
  const named = name === undefined ? models : models.filter((model) => nameOf(model) === name);
  const [model] = named;
  if (model === undefined)
    throw wrong(path, `the file has no ${api.kind}${name === undefined ? '' : ` named ${name}`}`);
  if (named.length > 1)
    throw wrong(path, `the file has ${named.length} objects of kind ${api.kind}: choose one with --name`);
  return model;
}

type Fields = Readonly<Record<string, unknown>>;

function documentsOf(path: string): unknown[] {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > fileLimitBytes) throw wrong(path, `the file has ${size} bytes, the limit is ${fileLimitBytes}`);
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
  return [...parseAllDocuments(text)].map((document) => {
    const [problem] = document.errors;
    if (problem !== undefined) throw wrong(path, `not YAML: ${problem.message.split('\n')[0] ?? ''}`);
    return document.toJS() as unknown;
  });
}

function nameOf(model: Fields): string {
  const { metadata } = model;
  return isObject(metadata) && typeof metadata['name'] === 'string' ? metadata['name'] : '(unnamed)';
}

type Reader<T> = (value: unknown, at: string) => T;

/** The readers of the parts of spec.rollout.gates that are one object of strings (operator/analysis/gate-kinds). */
const partReaders: Readonly<Record<string, Reader<unknown>>> = Object.fromEntries(
  Object.entries(gateParts).flatMap(([name, { fields }]) =>
    fields === undefined ? [] : [[name, (value: unknown, at: string) => texts(value, at, fields)] as const],
  ),
);

/**
 * For each field of the gates, its reader. `golden` has no reader: the test inputs of a golden set are run before the
 * candidate gets traffic, and `replay` judges traffic.
 */
const gateReaders: Readonly<Record<string, Reader<unknown>>> = {
  latency: (value, at) => list(value, at).map(latencyOf),
  ...partReaders,
  confidence: confidenceOf,
  alpha: text,
  minRequests: wholeNumber,
};

function gatesOf(value: unknown): GatesSpec {
  const at = 'spec.rollout.gates';
  if (value === undefined) return {};
  const gates = known(object(value, at), at, ['golden', ...Object.keys(gateReaders)]);
  return Object.fromEntries(
    Object.entries(gateReaders).flatMap(([name, read]) =>
      gates[name] === undefined ? [] : [[name, read(gates[name], `${at}.${name}`)]],
    ),
  );
}

function wholeNumber(value: unknown, at: string): number {
  if (!Number.isInteger(value) || (value as number) < 0)
    throw field(at, `is ${JSON.stringify(value)}, expected a whole number`);
  return value as number;
}

function latencyOf(value: unknown, index: number) {
  const at = `spec.rollout.gates.latency[${index}]`;
  const { eachClass, ...rest } = object(value, at);
  if (eachClass !== undefined && typeof eachClass !== 'boolean')
    throw field(`${at}.eachClass`, `is ${JSON.stringify(eachClass)}, expected true or false`);
  const gate = texts(rest, at, { must: ['name', 'quantile'], may: ['maxIncrease', 'max', 'minDetectable'] });
  return eachClass === undefined ? gate : { ...gate, eachClass };
}

function confidenceOf(value: unknown, at: string): Confidence {
  const found = (Object.keys(confidences) as Confidence[]).find((name) => name === value);
  if (found === undefined)
    throw field(at, `is ${JSON.stringify(value)}, expected one of ${Object.keys(confidences).join(', ')}`);
  return found;
}

type Judged = { readonly require: 'NoFail' | 'Pass'; readonly maxBlocks?: number };
type TimedStep = StepSpec & { readonly analyze?: Judged; readonly shadow?: Judged };

function stepsOf(value: unknown): TimedStep[] | undefined {
  if (value === undefined) return undefined;
  return list(value, 'spec.rollout.steps').map((item, i) => {
    const at = `spec.rollout.steps[${i}]`;
    const step = object(item, at);
    const kind = step['analyze'] !== undefined ? 'analyze' : step['shadow'] !== undefined ? 'shadow' : undefined;
    if (kind === undefined) return {};
    const { require, maxDuration } = object(step[kind], `${at}.${kind}`);
    if (require !== 'NoFail' && require !== 'Pass')
      throw field(`${at}.${kind}.require`, `is ${JSON.stringify(require) ?? 'missing'}, expected NoFail or Pass`);
    return { [kind]: { require, ...present({ maxBlocks: blocksIn(maxDuration, `${at}.${kind}.maxDuration`) }) } };
  });
}

function blocksIn(duration: unknown, at: string): number | undefined {
  if (duration === undefined) return undefined;
  const words = text(duration, at);
  const ms = parseDurationMs(words);
  if (ms === undefined) throw field(at, `'${words}' is not a duration, such as 30m`);
  return ms / 1000 / blockSeconds;
}

/** Reads an object whose values are strings, with required (`must`) and optional (`may`) fields. */
function texts<const M extends string = never, const O extends string = never>(
  value: unknown,
  at: string,
  fields: { readonly must?: readonly M[]; readonly may?: readonly O[] },
) {
  const { must = [], may = [] } = fields;
  const found = known(object(value, at), at, [...must, ...may]);
  const missing = must.find((name) => found[name] === undefined);
  if (missing !== undefined) throw field(`${at}.${missing}`, 'is missing');
  const entries = Object.entries(found).map(([name, one]) => [name, text(one, `${at}.${name}`)] as const);
  return Object.fromEntries(entries) as { readonly [K in M]: string } & { readonly [K in O]?: string };
}

function known(value: Fields, at: string, names: readonly string[]): Fields {
  const other = Object.keys(value).find((name) => !names.includes(name));
  if (other !== undefined) throw field(`${at}.${other}`, `unknown field; available fields: ${names.join(', ')}`);
  return value;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function object(value: unknown, at: string): Fields {
  if (!isObject(value)) throw field(at, 'is not an object');
  return value;
}

function list(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw field(at, 'is not a list');
  return value;
}

function text(value: unknown, at: string): string {
  if (typeof value !== 'string') throw field(at, `is ${JSON.stringify(value)}, expected text: write it in quotes`);
  return value;
}

function field(name: string, problem: string): AppError {
  return new AppError('FIELD_INVALID', { field: name, problem });
}

function wrong(where: string, problem: string): AppError {
  return new AppError('BAD_CONFIG', { where, problem });
}
