/**
 * The servers that take part in the measurement of one model.
 * Owns: starting them, checking their answers against raw ONNX Runtime, and their encoded requests.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { messageOf } from '../../api/errors.ts';
import { benchCases, benchModels, type CaseName, type ModelName } from './cases.ts';
import { differenceOf, encodeMessage, tensorMessage, textMessage, valuesIn, type Form } from './encode.ts';
import { Connection } from './load/connection.ts';
import type { Material } from './material.ts';
import { commandFor, configFile, configOf, formFor, whyNot, type ServedName } from './servers/commands.ts';
import { MeasuredServer } from './servers/measured-server.ts';
import type { PythonEnvironment } from './servers/python.ts';

/** What could not be measured, and why. */
export type Missing = { readonly what: string; readonly why: string };

export type Participant = { readonly name: ServedName; readonly form: Form; readonly server: MeasuredServer };

export type StartDeps = {
  readonly model: ModelName;
  readonly modelFolder: string;
  /** Folder for logs and files of servers. */
  readonly scratch: string;
  readonly cache: string;
  readonly cpus: number;
  readonly environments: ReadonlyMap<ServedName, PythonEnvironment>;
  readonly inGroup: (argv: readonly string[]) => readonly string[];
  readonly stop: AbortSignal;
};

/** Right answers differ from those of raw ONNX Runtime by less than this, relative to the largest number. */
const sameWithin = 0.01;

/** Starts one server. @returns why it does not take part */
export async function startParticipant(name: ServedName, deps: StartDeps): Promise<Participant | Missing> {
  const { model, scratch, environments, stop } = deps;
  const what = `${name}, ${model}`;
  const environment = environments.get(name);
  if (environment !== undefined && 'missing' in environment) return { what, why: environment.missing };
  const form = formFor(name, model);
  if (form === undefined) return { what, why: whyNot(name) };
  const folder = join(scratch, `${name}-${model}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(configFile(folder), JSON.stringify(configOf(model)));
  const asked = { ...deps, folder, port: await freePort(), python: environment?.folder ?? '' };
  const command = commandFor(name, asked);
  try {
    const argv = deps.inGroup(command.argv);
    const server = await MeasuredServer.start({ ...command, argv, log: join(folder, 'server.log') }, stop);
    return { name, form, server };
  } catch (error) {
    if (stop.aborted) throw error;
    return { what, why: messageOf(error).replaceAll(/\s+/g, ' ') };
  }
}

/** The encoded requests of a case for one server. @param headers added to each request */
export function requestsFor(
  form: Form,
  name: CaseName,
  { rows, texts }: Material,
  headers: Readonly<Record<string, string>> = {},
): readonly Uint8Array[] {
  const messages =
    form === 'openai'
      ? texts.map(textMessage)
      : rows.map((row) => tensorMessage(form, row, benchModels[benchCases[name].model].outputs));
  return messages.map((message) => encodeMessage(message, headers));
}

/** Sends the first request. @returns why the server's answer is wrong or missing; undefined when it is right */
export async function whyWrong(
  { form, server }: Participant,
  name: CaseName,
  material: Material,
  expected: Float32Array,
): Promise<string | undefined> {
  const connection = new Connection(server.port, true);
  try {
    const [request = new Uint8Array()] = requestsFor(form, name, material);
    const answer = await connection.send(request);
    const said = Buffer.from(answer.body).toString().slice(0, 200);
    if (answer.status !== 200) return `it answered the first request with status ${answer.status}: ${said}`;
    const values = valuesIn(form, answer, benchModels[benchCases[name].model].outputs);
    const difference = form === 'openai' ? differenceOf(unit(values), unit(expected)) : differenceOf(values, expected);
    if (difference <= sameWithin) return undefined;
    const far = `${difference.toFixed(3)} of the largest number (limit ${sameWithin})`;
    return `its answer differs from raw ONNX Runtime by ${far}`;
  } finally {
    connection.close();
  }
}

/** The vector with length 1. */
function unit(values: Float32Array): Float32Array {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return values.map((value) => value / length);
}
