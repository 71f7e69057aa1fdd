/**
 * Turns a CustomResourceDefinition into the resources that it defines, one per served version. A table is the part of
 * the store that holds the objects of all versions.
 * Pure.
 */
import type { StoredObject } from '../../objects.ts';
import { isRecord } from '../../../api/record.ts';
import { at, listOf, numberAt, recordsOf, stringAt, type JsonRecord } from '../../../lib/json.ts';
import { nameColumn, ageColumn } from '../builtin/columns.ts';
import { builtinMetaSchema } from '../builtin/schemas.ts';
import { allVerbs, type Column, type Resource, type Rules, type ScalePaths } from '../resource.ts';
import { applyDefaults } from '../../../kube/schema/defaults.ts';
import type { OpenApiSchema } from '../../../kube/schema/schema.ts';
import { ageOf } from '../times.ts';

/** The store's table for the objects of a definition: the definition's name. */
export function tableNameOf(definition: StoredObject): string {
  return definition.metadata.name;
}

export function resourcesOf(definition: StoredObject): readonly Resource[] {
  return recordsOf(at(definition, 'spec', 'versions'))
    .filter((version) => version['served'] === true)
    .map((version) => resourceOf(definition, version));
}

function resourceOf(definition: StoredObject, version: JsonRecord): Resource {
  const schema = withMeta((at(version, 'schema', 'openAPIV3Schema') ?? {}) as OpenApiSchema);
  const scale = scaleOf(at(version, 'subresources', 'scale'));
  const names = at(definition, 'spec', 'names');
  const kind = stringAt(names, 'kind') ?? '';
  return {
    group: stringAt(definition, 'spec', 'group') ?? '',
    version: stringAt(version, 'name') ?? '',
    kind,
    plural: stringAt(names, 'plural') ?? '',
    singular: stringAt(names, 'singular') ?? kind.toLowerCase(),
    listKind: stringAt(names, 'listKind') ?? `${kind}List`,
    shortNames: listOf(at(names, 'shortNames')).map(String),
    categories: listOf(at(names, 'categories')).map(String),
    namespaced: at(definition, 'spec', 'scope') !== 'Cluster',
    table: tableNameOf(definition),
    schema,
    custom: true,
    hasStatus: isRecord(at(version, 'subresources', 'status')),
    ...(scale === undefined ? {} : { scale }),
    columns: columnsOf(version),
    rules: rulesOf(schema, version),
    verbs: allVerbs,
  };
}

/**
 * Gives the metadata the same schema as in built-in objects, so that the fields of the metadata have owners in the same
 * way.
 */
function withMeta(schema: OpenApiSchema): OpenApiSchema {
  return { ...schema, properties: { ...schema.properties, metadata: builtinMetaSchema } };
}

function scaleOf(scale: unknown): ScalePaths | undefined {
  if (!isRecord(scale)) return undefined;
  const path = (field: string): string[] => (stringAt(scale, field) ?? '').split('.').filter((name) => name !== '');
  const selector = path('labelSelectorPath');
  return {
    spec: path('specReplicasPath'),
    status: path('statusReplicasPath'),
    ...(selector.length === 0 ? {} : { selector }),
  };
}

function rulesOf(schema: OpenApiSchema, version: JsonRecord): Rules {
  const paths = recordsOf(version['selectableFields']).map((field) => stringAt(field, 'jsonPath') ?? '');
  return {
    hasGeneration: true,
    setDefaults: (draft) => applyDefaults(draft, schema),
    selectable: (object) =>
      Object.fromEntries(
        paths.map((path) => [path.replace(/^\./, ''), scalarText(at(object, ...path.split('.').slice(1)))]),
      ),
  };
}

function scalarText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

function columnsOf(version: JsonRecord): readonly Column[] {
  const own = recordsOf(version['additionalPrinterColumns']);
  return own.length === 0 ? [nameColumn, { ...ageColumn, type: 'date' }] : [nameColumn, ...own.map(columnOf)];
}

function columnOf(column: JsonRecord): Column {
  const jsonPath = stringAt(column, 'jsonPath') ?? '';
  const type = stringAt(column, 'type') ?? 'string';
  const read = parseJsonPath(jsonPath) ?? (() => []);
  return {
    name: stringAt(column, 'name') ?? '',
    type,
    format: stringAt(column, 'format') ?? '',
    description:
      stringAt(column, 'description') ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: numberAt(column, 'priority') ?? 0,
    cell: (object, nowMs) => cellOf(read(object), type, nowMs),
  };
}

function cellOf(values: readonly unknown[], type: string, nowMs: number): unknown {
  const [first] = values;
  if (first === undefined || first === null) return null;
  if (type === 'date') return typeof first === 'string' ? ageOf(first, nowMs) : null;
  if (type === 'integer' || type === 'number' || type === 'boolean') return first;
  return typeof first === 'object' ? JSON.stringify(first) : values.map(String).join(',');
}

type Step = (value: unknown) => readonly unknown[];

const token = new RegExp(
  String.raw`^(?:\.((?:\\.|[^.[\]\\])+)|\['([^']*)'\]|\["([^"]*)"\]|\[(\d+|\*)\]|` +
    String.raw`\[\?\(\s*@\.([\w.-]+)\s*==\s*["']([^"']*)["']\s*\)\])`,
);

/** @returns a function that returns all values at the path; undefined when the path is not supported */
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
