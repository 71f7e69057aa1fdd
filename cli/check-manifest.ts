/**
 * Whether an OnnxModel in a manifest would be taken: by the API server, as `--validate=strict` has it, and then by the
 * operator.
 *
 * Owns:  what is added to the API server's own sentences: what to do about it.
 * Pure:  a parsed document → findings.
 */
import { openApiSchema } from '../api/onnxmodel.ts';
import { isRecord } from '../api/record.ts';
import type { Cause } from '../lib/schema/cause.ts';
import { checkCustomObject } from '../lib/schema/check-object.ts';
import { applyDefaults } from '../lib/schema/defaults.ts';
import { validateMeta } from '../lib/schema/metadata.ts';
import { pruneObject } from '../lib/schema/prune.ts';
import { schemaOfField, schemaOfItems, type Schema } from '../lib/schema/schema.ts';
import { nearest } from './nearest-word.ts';
import { operatorFindings } from './operator-checks.ts';

export type Finding = {
  /** A warning is what works and is likely not meant. */
  readonly severity: 'error' | 'warning';
  /** Such as `spec.rollout.steps[0].weight`; '' for the whole. */
  readonly path: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
};

const published = openApiSchema('published') as Schema;
const whole = openApiSchema('whole') as Schema;
const type = { schema: published, scale: { spec: ['spec', 'replicas'] } };

/** @param manifest an object of kind OnnxModel in the version that is served */
export function checkManifest(manifest: Readonly<Record<string, unknown>>): readonly Finding[] {
  const object = structuredClone(manifest);
  const unknown = pruneObject(object, published).map(unknownField);
  const metadata = named(object['metadata']);
  if (!isRecord(metadata)) return [...unknown, { severity: 'error', path: 'metadata', message: 'Required value', hint: 'give it a name' }];
  applyDefaults(object, published);
  const causes = checkCustomObject(type, { ...object, metadata }, undefined, validateMeta({ metadata }, 'subdomain'));
  const refused = [...unknown, ...causes.map((cause) => ofCause(cause, object))];
  // Without a spec that the schema takes, the operator's reading would say the same again in other words.
  return causes.length > 0 ? refused : [...refused, ...operatorFindings(object)];
}

/** generateName, for `kubectl create`, is as good as a name: the server adds five letters. */
function named(metadata: unknown): unknown {
  if (!isRecord(metadata) || metadata['name'] !== undefined || typeof metadata['generateName'] !== 'string') return metadata;
  return { ...metadata, name: `${metadata['generateName']}xxxxx` };
}

function unknownField(path: string): Finding {
  const [, parent = '', field = path] = /^(.*)\.([^.]*)$/.exec(path) ?? [];
  return { severity: 'error', path, message: `unknown field "${field}"`, hint: insteadOf(field, parent) };
}

function insteadOf(field: string, parent: string): string {
  if (schemaAt(whole, parent)?.properties?.[field] !== undefined) return 'it is planned and does nothing yet: leave it out';
  const siblings = Object.keys(schemaAt(published, parent)?.properties ?? {});
  const close = nearest(field, siblings);
  if (close !== undefined) return `did you mean ${close}?`;
  return siblings.length > 0 ? `there are ${siblings.join(', ')}` : 'leave it out';
}

function ofCause({ message, field = '' }: Cause, object: Readonly<Record<string, unknown>>): Finding {
  const path = field === '<nil>' ? '' : field;
  const hint = hintFor(path, message, valueAt(object, path));
  return { severity: 'error', path, message: message.replace(` in body should match '`, ` should match '`), ...(hint === undefined ? {} : { hint }) };
}

function hintFor(path: string, message: string, value: unknown): string | undefined {
  const schema = schemaAt(published, path);
  if (/must be of type (integer,)?string/.test(message) && isRightInQuotes(value, schema)) return `write it in quotes: "${value}"`;
  if (message.startsWith('Unsupported value')) return nearestOf(value, schema);
  const patternIsAllItSays = /should match|Too long|must be of type|^Required value$/.test(message);
  return patternIsAllItSays ? schema?.description : undefined;
}

/** Whether the value as text is what the field takes: "0.5" of CPU is, "15" where a percentage is asked for is not. */
function isRightInQuotes(value: unknown, schema: Schema | undefined): value is number | boolean {
  if (typeof value !== 'number' && typeof value !== 'boolean') return false;
  return schema?.pattern === undefined || new RegExp(schema.pattern).test(String(value));
}

function nearestOf(value: unknown, schema: Schema | undefined): string | undefined {
  const close = nearest(String(value), (schema?.enum ?? []).map(String));
  return close === undefined ? schema?.description : `did you mean ${close}?`;
}

/** The schema of a path; undefined where it has none. */
function schemaAt(schema: Schema, path: string): Schema | undefined {
  return stepsOf(path).reduce<Schema | undefined>((at, step) => (at === undefined ? undefined : typeof step === 'number' ? schemaOfItems(at) : schemaOfField(at, step)), schema);
}

function valueAt(object: unknown, path: string): unknown {
  return stepsOf(path).reduce<unknown>((at, step) => (Array.isArray(at) && typeof step === 'number' ? (at[step] as unknown) : isRecord(at) ? at[step] : undefined), object);
}

function stepsOf(path: string): readonly (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, name = '']) => (index === undefined ? name : Number(index)));
}
