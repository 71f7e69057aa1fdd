/**
 * What a model takes and gives, short enough for a container's last words, and how two revisions compare in it.
 *
 * Owns:  the notation, `float32[?,384]` (a number is a fixed size, ? one that each request chooses, without brackets
 *        the rank is not known), and what schemaPolicy Compatible and Exact mean.
 * Pure.
 */
import { ownValue } from './record.ts';
import { k, type Infer } from './schema/builder.ts';
import { checkOf } from './schema/check.ts';

const notes = k.map(k.string({ max: 256 }), { max: 4096 });
const modelIoSchema = k.object({ inputs: notes, outputs: notes });

/** Name → notation. */
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

/** @returns undefined when the value is not of this form */
export function readModelIo(value: unknown): ModelIo | undefined {
  if (check(value) !== undefined) return undefined;
  const { inputs, outputs } = value as ModelIo;
  return { inputs, outputs };
}

export type SchemaPolicy = 'Compatible' | 'Exact' | 'Any';

/**
 * Whether clients of stable can go on with the candidate.
 *
 * Compatible: the same inputs by name and type, each of a shape that takes what stable's takes; every output of
 *             stable's
 * by name and type, of a shape that stable's could have had. Exact: nothing differs. Any: everything may.
 *
 * @returns the first difference, in words; undefined when there is none that the policy forbids
 */
export function ioChange(stable: ModelIo, candidate: ModelIo, policy: SchemaPolicy): string | undefined {
  if (policy === 'Any') return undefined;
  return inputChange(stable, candidate, policy) ?? outputChange(stable, candidate, policy);
}

function inputChange(stable: ModelIo, candidate: ModelIo, policy: SchemaPolicy): string | undefined {
  for (const name of Object.keys(candidate.inputs))
    if (!Object.hasOwn(stable.inputs, name)) return `input '${name}' is new: ${listOf(stable.inputs, 'stable takes')}`;
  for (const [name, note] of Object.entries(stable.inputs)) {
    const other = ownValue(candidate.inputs, name);
    if (other === undefined) return `input '${name}' is gone: ${listOf(candidate.inputs, 'it takes')}`;
    const fits = policy === 'Exact' ? other === note : isWithin(note, other);
    if (!fits) return `input '${name}' is ${other}, stable takes ${note}`;
  }
  return undefined;
}

function outputChange(stable: ModelIo, candidate: ModelIo, policy: SchemaPolicy): string | undefined {
  for (const [name, note] of Object.entries(stable.outputs)) {
    const other = ownValue(candidate.outputs, name);
    if (other === undefined) return `output '${name}' is gone: ${listOf(candidate.outputs, 'it gives')}`;
    const fits = policy === 'Exact' ? other === note : isWithin(other, note);
    if (!fits) return `output '${name}' is ${other}, stable gives ${note}`;
  }
  const added =
    policy === 'Exact'
      ? Object.keys(candidate.outputs).find((name) => !Object.hasOwn(stable.outputs, name))
      : undefined;
  return added === undefined ? undefined : `output '${added}' is new`;
}

/** Whether every tensor of the narrow notation is one of the wide one, too. */
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

function listOf(notes: Readonly<Record<string, string>>, verb: string): string {
  const names = Object.keys(notes);
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
  return `${verb} ${names
    .slice(0, namesShown)
    .map((name) => `'${name}'`)
    .join(', ')}${more}`;
}
