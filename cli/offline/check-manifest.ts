/**
 * Checks an OnnxModel in a manifest: first as the API server does with `--validate=strict`, then as the operator does.
 *
 * Owns: the hints, which say how to correct the manifest. The API server's messages do not contain hints.
 * Pure: a parsed document → findings.
 */
import { openApiSchema } from '../../api/onnxmodel.ts';
import { isRecord } from '../../api/record.ts';
import type { Cause } from '../../kube/schema/cause.ts';
import { checkCustomObject } from '../../kube/schema/check-object.ts';
import { applyDefaults } from '../../kube/schema/defaults.ts';
import { validateMeta } from '../../kube/schema/metadata.ts';
import { pruneObject } from '../../kube/schema/prune.ts';
import { schemaOfField, schemaOfItems, type OpenApiSchema } from '../../kube/schema/schema.ts';
import { nearest } from '../../api/nearest-word.ts';
import { operatorFindings, type OperatorFinding } from './operator-checks.ts';

const published = openApiSchema('published') as OpenApiSchema;
const whole = openApiSchema('whole') as OpenApiSchema;
const type = { schema: published, scale: { spec: ['spec', 'replicas'] } };

/** @param manifest an object of kind OnnxModel in the served API version */
export function checkManifest(manifest: Readonly<Record<string, unknown>>): readonly OperatorFinding[] {
  const object = structuredClone(manifest);
  const unknown = pruneObject(object, published).map(unknownField);
  const metadata = named(object['metadata']);
  if (!isRecord(metadata))
    return [
      ...unknown,
      { severity: 'error', path: 'metadata', message: 'Required value', hint: 'give the object a name' },
    ];
  applyDefaults(object, published);
  const causes = checkCustomObject(type, { ...object, metadata }, undefined, validateMeta({ metadata }, 'subdomain'));
  const refused = [...unknown, ...causes.map((cause) => ofCause(cause, { ...object, metadata }))];
  // When the schema refuses the spec, leave out the operator's checks: they would repeat the same errors in other
  // words.
  return causes.length > 0 ? refused : [...refused, ...operatorFindings(object)];
}

/**
 * Adds a name when the manifest has only generateName (for `kubectl create`). The API server would make such a name by
 * adding five characters.
 */
function named(metadata: unknown): unknown {
  if (!isRecord(metadata) || metadata['name'] !== undefined || typeof metadata['generateName'] !== 'string')
    return metadata;
  return { ...metadata, name: `${metadata['generateName']}xxxxx` };
}

function unknownField(path: string): OperatorFinding {
  const [, parent = '', field = path] = /^(.*)\.([^.]*)$/.exec(path) ?? [];
  return { severity: 'error', path, message: `unknown field "${field}"`, hint: insteadOf(field, parent) };
}

function insteadOf(field: string, parent: string): string {
  if (schemaAt(whole, parent)?.properties?.[field] !== undefined)
    return 'the field is planned and has no effect yet: remove it';
  const siblings = Object.keys(schemaAt(published, parent)?.properties ?? {});
  const close = nearest(field, siblings);
  if (close !== undefined) return `did you mean ${close}?`;
  return siblings.length > 0 ? `available fields: ${siblings.join(', ')}` : 'remove it';
}

type Manifest = Parameters<typeof checkCustomObject>[1];

function ofCause({ message, field = '' }: Cause, object: Manifest): OperatorFinding {
  const path = field === '<nil>' ? '' : field;
  const hint = hintFor(object, path, message);
  return {
    severity: 'error',
    path,
    message: message.replace(` in body should match '`, ` should match '`),
    ...(hint === undefined ? {} : { hint }),
  };
}

/**
 * When a field requires a string and the manifest has a bare number, these suffixes are tried. The hint suggests the
 * first suffix that makes the field valid.
 */
const units = ['', '%', 's', 'Mi'];

/** A string that the user can write in place of a number or a boolean. @returns undefined when no string is valid */
function asText(object: Manifest, path: string, value: number | boolean): string | undefined {
  const texts = typeof value === 'number' ? units.map((unit) => `${value}${unit}`) : [String(value)];
  const taken = texts.find((text) => isTaken(object, path, text));
  if (taken === undefined) return undefined;
  return taken === String(value)
    ? `write it in quotes: "${taken}"`
    : `write it in quotes and with its unit, such as "${taken}"`;
}

/** Whether the schema, its rules and the operator accept this value at this path. */
function isTaken(object: Manifest, path: string, value: unknown): boolean {
  const changed = structuredClone(object);
  const steps = stepsOf(path);
  const parent = steps
    .slice(0, -1)
    .reduce<unknown>((at, step) => (at as Record<string | number, unknown>)[step], changed);
  (parent as Record<string | number, unknown>)[steps.at(-1) ?? ''] = value;
  const concerns = (field: string): boolean =>
    field === path || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
  const causes = checkCustomObject(type, changed, undefined, []);
  // Errors of the unchanged manifest. When such an error is about a parent field, it is ignored, because the tried
  // value is not its cause.
  const before = new Set(
    checkCustomObject(type, object, undefined, []).map(({ field, message }) => `${field} ${message}`),
  );
  if (
    causes.some(({ field = '', message }) => concerns(field) && (field === path || !before.has(`${field} ${message}`)))
  )
    return false;
  return (
    causes.length > 0 ||
    operatorFindings(changed).every(({ path: at, severity }) => at !== path || severity !== 'error')
  );
}

function hintFor(object: Manifest, path: string, message: string): string | undefined {
  const value = valueAt(object, path);
  const schema = schemaAt(published, path);
  if (/must be of type (integer,)?string/.test(message) && (typeof value === 'number' || typeof value === 'boolean'))
    return asText(object, path, value) ?? schema?.description;
  if (message.startsWith('Unsupported value')) return nearestOf(value, schema);
  const patternIsAllItSays = /should match|Too long|must be of type|^Required value$/.test(message);
  return patternIsAllItSays ? schema?.description : undefined;
}

function nearestOf(value: unknown, schema: OpenApiSchema | undefined): string | undefined {
  const close = nearest(String(value), (schema?.enum ?? []).map(String));
  return close === undefined ? schema?.description : `did you mean ${close}?`;
}

/** The schema of a path; undefined for an unknown path. */
function schemaAt(schema: OpenApiSchema, path: string): OpenApiSchema | undefined {
  return stepsOf(path).reduce<OpenApiSchema | undefined>(
    (at, step) =>
      at === undefined ? undefined : typeof step === 'number' ? schemaOfItems(at) : schemaOfField(at, step),
    schema,
  );
}

function valueAt(object: unknown, path: string): unknown {
  return stepsOf(path).reduce<unknown>(
    (at, step) =>
      Array.isArray(at) && typeof step === 'number' ? (at[step] as unknown) : isRecord(at) ? at[step] : undefined,
    object,
  );
}

function stepsOf(path: string): readonly (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, name = '']) =>
    index === undefined ? name : Number(index),
  );
}
