/**
 * Small checkers of plain data from outside, put together to those of whole files.
 *
 * Owns:  the sentences that say which field is wrong and what it may be. A field that is not known is wrong, too:
 *        a misspelt name must not become a default in silence.
 * Pure.  Throws AppError BAD_CONFIG naming the field by its path.
 */
import type { Bound } from '../../api/bounds.ts';
import { AppError } from '../../api/errors.ts';

/** @param where the path of the value, e.g. `runtime.json: execution.workers` */
export type Check<T> = (value: unknown, where: string) => T;
/** A field that may be left out; `fallback` then stands for it, or nothing does. */
export type Optional<T> = { readonly check: Check<T>; readonly fallback: T | undefined };
type Field = Check<unknown> | Optional<unknown>;

type ValueOf<F> = F extends Optional<infer T> ? T : F extends Check<infer T> ? T : never;
type OptionalKeys<S> = { [K in keyof S]: S[K] extends Optional<unknown> ? K : never }[keyof S];
export type Shape<S> = { readonly [K in Exclude<keyof S, OptionalKeys<S>>]: ValueOf<S[K]> } & {
  readonly [K in OptionalKeys<S>]?: ValueOf<S[K]>;
};

export function wrong(where: string, problem: string): AppError {
  return new AppError('BAD_CONFIG', { where: where.replace(/:$/, ''), problem });
}

export function optional<T>(check: Check<T>, fallback?: T): Optional<T> {
  return { check, fallback };
}

export function object<S extends Readonly<Record<string, Field>>>(fields: S): Check<Shape<S>> {
  return (value, where) => {
    const record = recordOf(value, where);
    for (const name of Object.keys(record)) {
      if (!Object.hasOwn(fields, name))
        throw wrong(join(where, name), `no such field; there are ${Object.keys(fields).join(', ')}`);
    }
    const entries = Object.entries(fields).map(([name, field]) => [
      name,
      readField(field, record[name], join(where, name)),
    ]);
    return Object.fromEntries(entries.filter(([, got]) => got !== undefined)) as Shape<S>;
  };
}

function readField(field: Field, value: unknown, where: string): unknown {
  if (typeof field === 'function') {
    if (value === undefined) throw wrong(where, 'is missing');
    return field(value, where);
  }
  return value === undefined ? field.fallback : field.check(value, where);
}

export function text(
  rule: { readonly pattern?: RegExp; readonly what?: string; readonly length?: Bound } = {},
): Check<string> {
  const { min = 0, max } = rule.length ?? { max: 4096 };
  return (value, where) => {
    if (typeof value !== 'string') throw wrong(where, `${shown(value)} is not text`);
    // As the schema counts: a character outside of the first plane is one.
    if (value.length > max && Array.from(value).length > max) throw wrong(where, `is longer than ${max} characters`);
    if (value.length < min) throw wrong(where, `is shorter than ${min} characters`);
    if (rule.pattern?.test(value) === false)
      throw wrong(where, `${shown(value)} is not a ${rule.what ?? `text of the form ${rule.pattern.source}`}`);
    return value;
  };
}

export function integer({ min: least = 0, max: most }: Bound): Check<number> {
  return (value, where) => {
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most)
      throw wrong(where, `${shown(value)} is not an integer from ${least} to ${most}`);
    return value as number;
  };
}

/** A number that JSON can write, from `least` to `most`. */
export function number(least: number, most: number): Check<number> {
  return (value, where) => {
    if (typeof value !== 'number' || !(value >= least && value <= most))
      throw wrong(where, `${shown(value)} is not a number from ${least} to ${most}`);
    return value;
  };
}

export const flag: Check<boolean> = (value, where) => {
  if (typeof value !== 'boolean') throw wrong(where, `${shown(value)} is neither true nor false`);
  return value;
};

export function oneOf<const T extends string | number>(...choices: readonly T[]): Check<T> {
  return (value, where) => {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw wrong(where, `${shown(value)} is not one of ${choices.join(', ')}`);
    return found;
  };
}

export function list<T>(check: Check<T>, { min: least = 0, max: most }: Bound): Check<readonly T[]> {
  return (value, where) => {
    if (!Array.isArray(value)) throw wrong(where, `${shown(value)} is not a list`);
    if (value.length > most || value.length < least)
      throw wrong(where, `has ${value.length} entries, ${least} to ${most} are allowed`);
    return value.map((item, index) => check(item, `${where}[${index}]`));
  };
}

/** String → string. */
export function textMap({ max: most }: Bound, length: Bound): Check<Readonly<Record<string, string>>> {
  const check = text({ length });
  return (value, where) => {
    const entries = Object.entries(recordOf(value, where));
    if (entries.length > most) throw wrong(where, `has ${entries.length} entries, at most ${most} are allowed`);
    return Object.fromEntries(entries.map(([name, item]) => [name, check(item, join(where, name))]));
  };
}

function recordOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(where, `${shown(value)} is not an object`);
  return value as Readonly<Record<string, unknown>>;
}

function join(where: string, name: string): string {
  return where.endsWith(':') ? `${where} ${name}` : `${where}.${name}`;
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) ?? 'nothing';
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
}
