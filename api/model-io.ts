/**
 * The inputs and outputs of a model in a short notation, and their comparison between two revisions. Pure.
 *
 * Owns: the notation, and the meaning of schemaPolicy Compatible and Exact. Example: in `float32[?,384]`, 384 is a
 *       fixed size, and each request chooses the size `?`. In `float32`, without brackets, the rank is unknown.
 */
import { ownValue } from './record.ts';
import { k, type Infer } from './schema/builder.ts';
import { checkOf } from './schema/check.ts';

const notes = k.map(k.string({ max: 256 }), { max: 4096 });
const modelIoSchema = k.object({ inputs: notes, outputs: notes });

/** Inputs and outputs: two maps from a name to its notation. */
export type ModelIo = Infer<typeof modelIoSchema>;

type Tensor = { readonly name: string; readonly type: string; readonly dims?: readonly (number | string)[] };

export function modelIo(inputs: readonly Tensor[], outputs: readonly Tensor[]): ModelIo {
  return { inputs: notesOf(inputs), outputs: notesOf(outputs) };
}

function notesOf(tensors: readonly Tensor[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    tensors.map(({ name, type, dims }) => [
      name,
      dims === undefined ? type : `${type}[${dims.map((dim) => (typeof dim === 'number' ? dim : '?')).join()}]`,
    ]),
  );
}

const check = checkOf(modelIoSchema, 'Ignore');

/** @returns undefined when the value does not have this form */
export function readModelIo(value: unknown): ModelIo | undefined {
  if (check(value) !== undefined) return undefined;
  const { inputs, outputs } = value as ModelIo;
  return { inputs, outputs };
}

export type SchemaPolicy = 'Compatible' | 'Exact' | 'Any';

/**
 * Compares the candidate with stable by schemaPolicy. Compatible: the inputs have the same names and types, and accept
 * every shape that stable's inputs accept; every output of stable exists, with the same type and a shape that stable
 * could return. Exact: nothing differs. Any: nothing is compared.
 *
 * @returns the first difference that the policy forbids, in words; otherwise undefined
 */
export function ioChange(stable: ModelIo, candidate: ModelIo, policy: SchemaPolicy): string | undefined {
  if (policy === 'Any') return undefined;
  return inputChange(stable, candidate, policy) ?? outputChange(stable, candidate, policy);
}

function inputChange(stable: ModelIo, candidate: ModelIo, policy: SchemaPolicy): string | undefined {
  for (const name of Object.keys(candidate.inputs))
    if (!Object.hasOwn(stable.inputs, name)) return `input '${name}' is new: ${listOf('stable', stable, 'inputs')}`;
  for (const [name, note] of Object.entries(stable.inputs)) {
    const other = ownValue(candidate.inputs, name);
    if (other === undefined) return `input '${name}' is missing: ${listOf('the candidate', candidate, 'inputs')}`;
    const fits = policy === 'Exact' ? other === note : isWithin(note, other);
    if (!fits) return `input '${name}' is ${other}, stable has ${note}`;
  }
  return undefined;
}

function outputChange(stable: ModelIo, candidate: ModelIo, policy: SchemaPolicy): string | undefined {
  for (const [name, note] of Object.entries(stable.outputs)) {
    const other = ownValue(candidate.outputs, name);
    if (other === undefined) return `output '${name}' is missing: ${listOf('the candidate', candidate, 'outputs')}`;
    const fits = policy === 'Exact' ? other === note : isWithin(other, note);
    if (!fits) return `output '${name}' is ${other}, stable has ${note}`;
  }
  const added =
    policy === 'Exact'
      ? Object.keys(candidate.outputs).find((name) => !Object.hasOwn(stable.outputs, name))
      : undefined;
  return added === undefined ? undefined : `output '${added}' is new`;
}

/** Whether every tensor that matches `narrow` also matches `wide`. */
function isWithin(narrow: string, wide: string): boolean {
  const [from, to] = [parse(narrow), parse(wide)];
  if (from.type !== to.type) return false;
  if (to.dims === undefined) return true;
  return from.dims?.length === to.dims.length && to.dims.every((dim, axis) => dim === '?' || dim === from.dims?.[axis]);
}

function parse(note: string): { readonly type: string; readonly dims?: readonly string[] } {
  const [, type = note, dims] = /^([^[]*)\[(.*)\]$/.exec(note) ?? [];
  return dims === undefined ? { type } : { type, dims: dims === '' ? [] : dims.split(',') };
}

const namesShown = 6;

/** e.g. `stable has 'a', 'b'` */
function listOf(who: 'stable' | 'the candidate', io: ModelIo, what: keyof ModelIo): string {
  const names = Object.keys(io[what]);
  if (names.length === 0) return `${who} has no ${what}`;
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
  return `${who} has ${names
    .slice(0, namesShown)
    .map((name) => `'${name}'`)
    .join(', ')}${more}`;
}
