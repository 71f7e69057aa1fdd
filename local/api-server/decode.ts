/**
 * Turns the bytes of a request into an object.
 * Owns: the accepted formats of a body (JSON, YAML, protobuf), the check of its type, and the treatment of unknown
 * fields. The query parameter `fieldValidation` decides whether unknown fields are refused, reported as a warning or
 * dropped.
 * Limits: 200 levels of nesting. The size is limited where the body is read.
 */
import { parse as parseYaml } from 'yaml';
import { messageOf } from '../../api/errors.ts';
import { conformMeta, conformObject } from './builtin/conform.ts';
import { duplicateKeys } from './duplicate-keys.ts';
import { isRecord } from '../../api/record.ts';
import { depthOf, stringAt, type JsonRecord } from '../../lib/json.ts';
import { decodeProtobuf } from './protobuf.ts';
import { groupVersionOf, type ObjectDraft, type Resource } from './resource.ts';
import { pruneObject } from '../../kube/schema/prune.ts';
import { invalidValue } from '../../kube/schema/cause.ts';
import { badRequest, invalidObject, unsupportedMediaType } from './status.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export const mediaTypes = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
} as const;

const maxDepth = 200;

export type Parsed = { readonly value: unknown; readonly text: string; readonly duplicates: () => readonly string[] };

/**
 * @param mediaType the media type in the Content-Type header, '' when the header is absent
 * @throws StatusError 415, 400
 */
export function parseBody(bytes: Uint8Array, mediaType: string, kind: string): Parsed {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  switch (mediaType) {
    case '':
    case mediaTypes.json:
      return { ...bounded(parseJson(text, kind)), text, duplicates: () => duplicateKeys(text) };
    case mediaTypes.yaml:
      return { ...bounded(parseYamlText(text)), text, duplicates: () => [] };
    case mediaTypes.protobuf:
      return { ...bounded(decodeProtobuf(bytes)), text: '', duplicates: () => [] };
    default:
      throw unsupportedMediaType(Object.values(mediaTypes));
  }
}

function bounded(value: unknown): { readonly value: unknown } {
  if (depthOf(value, maxDepth + 1) > maxDepth) throw badRequest(`the object is nested deeper than ${maxDepth} levels`);
  return { value };
}

function parseJson(text: string, kind: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const shown = text === '' ? '<empty>' : text.slice(0, 64);
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind}): couldn't get version/kind; json parse ` +
        `error: ${jsonProblem(text)} (${shown})`,
    );
  }
}

/**
 * The message about a syntax error. For a truncated body it is the message of Go's decoder; other errors have Node's
 * message.
 */
function jsonProblem(text: string): string {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    const why = messageOf(error);
    return /end of JSON input|Unterminated|Expected .* after|Expected property name/.test(why) &&
      !/in JSON at position \d+$/.test(why.replace(`position ${text.length}`, ''))
      ? 'unexpected end of JSON input'
      : why;
  }
}

export function parseYamlText(text: string): unknown {
  try {
    return parseYaml(text, { maxAliasCount: 100, uniqueKeys: true, version: '1.1' });
  } catch (error) {
    throw badRequest(`error decoding YAML: error converting YAML to JSON: yaml: ${messageOf(error).split('\n')[0]}`);
  }
}

function abbreviated(text: string): string {
  return text.length > 32 ? `${text.slice(0, 30)} ...` : text;
}

export type DecodeOptions = { readonly validation: FieldValidation; readonly warn: (message: string) => void };

/**
 * The object of a POST or PUT.
 * @throws StatusError 400, 415, 422
 */
export function decodeObject(resource: Resource, parsed: Parsed, options: DecodeOptions): ObjectDraft {
  const { value } = parsed;
  if (!isRecord(value))
    throw badRequest(
      `the object provided is unrecognized (must be of type ${resource.kind}): couldn't get version/kind; json ` +
        `parse error: json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type ` +
        `struct { APIVersion string; Kind string } (${abbreviated(parsed.text)})`,
    );
  if (typeof value['kind'] !== 'string' || value['kind'] === '') {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${resource.kind}): Object 'Kind' is missing in ` +
        `'${parsed.text.slice(0, 256)}' (${abbreviated(parsed.text)})`,
    );
  }
  checkType(resource, value);
  return shapeObject(resource, value, {
    ...options,
    duplicates: options.validation === 'Ignore' ? [] : parsed.duplicates(),
  });
}

/** Checks that the object has the resource's type. */
export function checkType(resource: Resource, value: JsonRecord): void {
  const apiVersion = stringAt(value, 'apiVersion') ?? '';
  const wanted = groupVersionOf(resource);
  if (apiVersion !== wanted)
    throw badRequest(`the API version in the data (${apiVersion}) does not match the expected API version (${wanted})`);
  if (value['kind'] === resource.kind) return;
  const kind = String(value['kind']);
  if (resource.custom)
    throw invalidObject({ ...resource, kind }, stringAt(value, 'metadata', 'name') ?? '', [
      invalidValue('kind', kind, `must be ${resource.kind}`),
    ]);
  throw badRequest(
    `${kind} in version ${JSON.stringify(resource.version)} cannot be handled as a ${resource.kind}: no kind ` +
      `${JSON.stringify(kind)} is registered for version ${JSON.stringify(wanted)}`,
  );
}

/** Checks types and unknown fields of an object by its schema, without defaulting. */
export function shapeObject(
  resource: Resource,
  value: JsonRecord,
  options: DecodeOptions & { readonly duplicates: readonly string[] },
): ObjectDraft {
  conformMeta(value);
  const unknown = pruneObject(value, resource.schema);
  const problems = [
    ...options.duplicates.map((path) => `duplicate field "${path}"`),
    ...unknown.map((path) => `unknown field "${path}"`),
  ];
  if (problems.length > 0) reportProblems(resource, problems, options);
  const object = resource.custom ? value : conformObject(value, resource.schema);
  object['metadata'] ??= {};
  return object as ObjectDraft;
}

function reportProblems(resource: Resource, problems: readonly string[], options: DecodeOptions): void {
  switch (options.validation) {
    case 'Ignore':
      return;
    case 'Warn':
      for (const problem of problems) options.warn(problem);
      return;
    case 'Strict':
      throw new StrictProblems(resource, problems);
  }
}

/**
 * The problems of strict validation. It is a separate class because a PATCH is answered with another message than a
 * POST or PUT.
 */
class StrictProblems extends Error {
  readonly problems: readonly string[];
  readonly resource: Resource;
  constructor(resource: Resource, problems: readonly string[]) {
    super(`strict decoding error: ${problems.join(', ')}`);
    this.problems = problems;
    this.resource = resource;
  }
}

/**
 * Turns an error of strict validation into the API's error for a PATCH, or for a POST or PUT. Returns any other error
 * as it is.
 * @param patched the object that a patch made; absent for POST and PUT
 */
export function wordStrictProblems(error: unknown, patched?: JsonRecord): unknown {
  if (!(error instanceof StrictProblems)) return error;
  const { resource, message } = error;
  if (patched === undefined)
    return badRequest(
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${message}`,
    );
  return invalidObject({ group: '', plural: '', kind: '' }, '', [
    invalidValue('patch', JSON.stringify(patched), message),
  ]);
}
