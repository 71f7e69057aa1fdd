/**
 * The simple JSONPath that printer columns use: fields, indexes, `[*]` and a filter for equality.
 *
 * Pure.
 */
import { isRecord } from '../../../api/record.ts';
import { at } from '../../../lib/json.ts';

type Step = (value: unknown) => readonly unknown[];

const token = new RegExp(
  String.raw`^(?:\.((?:\\.|[^.[\]\\])+)|\['([^']*)'\]|\["([^"]*)"\]|\[(\d+|\*)\]|` +
    String.raw`\[\?\(\s*@\.([\w.-]+)\s*==\s*["']([^"']*)["']\s*\)\])`,
);

/** @returns a function that gives every value at the path; undefined when the path is not supported */
export function parseJsonPath(path: string): ((value: unknown) => readonly unknown[]) | undefined {
  const steps: Step[] = [];
  let rest = path.replace(/^\{|\}$/g, '').replace(/^\$/, '');
  while (rest !== '') {
    const found = token.exec(rest);
    if (found === null) return undefined;
    steps.push(stepOf(found));
    rest = rest.slice(found[0].length);
  }
  return (value) => steps.reduce<readonly unknown[]>((values, step) => values.flatMap(step), [value]);
}

function stepOf(found: RegExpExecArray): Step {
  const [, dotted, single, double, index, filterField, filterValue] = found;
  const field = dotted?.replaceAll(/\\(.)/g, '$1') ?? single ?? double;
  if (field !== undefined) return (value) => (isRecord(value) && value[field] !== undefined ? [value[field]] : []);
  if (index === '*') return (value) => (Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : []);
  if (index !== undefined)
    return (value) =>
      Array.isArray(value) && value[Number(index)] !== undefined ? [value[Number(index)] as unknown] : [];
  const path = (filterField ?? '').split('.');
  return (value) => (Array.isArray(value) ? value.filter((item) => String(at(item, ...path)) === filterValue) : []);
}
