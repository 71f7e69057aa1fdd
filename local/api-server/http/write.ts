/**
 * POST, PUT and PATCH of objects and of their status.
 * Owns: the check that path, query and body agree. writes.ts executes the write.
 */
import { parse as parseYaml } from 'yaml';
import type { StoredObject } from '../../objects.ts';
import type { ApiDeps } from '../core.ts';
import { checkType, decodeObject, parseBody, parseYamlText, shapeObject, wordStrictProblems } from '../decode.ts';
import { shown } from '../direct-objects.ts';
import { isRecord } from '../../../api/record.ts';
import { copyOf, sorted, stringAt, type JsonRecord } from '../../../lib/json.ts';
import { applyConfig } from '../managed-fields/apply.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts';
import type { ObjectDraft, Resource } from '../resource.ts';
import { requiredValue } from '../../../kube/schema/cause.ts';
import { badRequest, conflict, invalidObject, unsupportedMediaType } from '../status.ts';
import { storeKeyOf } from '../store.ts';
import { toTime } from '../times.ts';
import { asSubresource, writeQuery, type ApiExchange, type Target, type WriteQuery } from './exchange.ts';
import { sendObject } from './read.ts';

const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** Kinds whose objects a PUT may create. */
const createdByPut = new Set(['Lease', 'Event', 'Endpoints', 'Service']);

export async function createObject(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  const { resource } = target;
  const query = writeQuery(exchange, 'CreateOptions');
  const draft = await readDraft(exchange, target, query);
  const stored = deps.writes.create(resource, toStored(resource, draft), query);
  sendObject(deps, exchange, { resource, stored, code: 201 });
}

export async function replaceObject(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  const { resource, namespace, name = '' } = target;
  const query = writeQuery(exchange, 'UpdateOptions');
  const draft = await readDraft(exchange, target, query);
  const named = stringAt(draft.metadata, 'name') ?? '';
  if (named !== name)
    throw badRequest(
      named === ''
        ? 'name must be provided'
        : `the name of the object (${named}) does not match the name on the URL (${name})`,
    );
  const isNew = deps.store.get(resource.table, storeKeyOf(namespace, name)) === undefined;
  if (isNew && createdByPut.has(resource.kind) && target.subresource === '') {
    sendObject(deps, exchange, {
      resource,
      stored: deps.writes.create(resource, toStored(resource, draft), query),
      code: 201,
    });
    return;
  }
  const stored = deps.writes.update(resource, { namespace, name }, () => toStored(resource, draft), {
    ...query,
    subresource: asSubresource(target.subresource),
  });
  sendObject(deps, exchange, { resource, stored, code: 200 });
}

async function readDraft(exchange: ApiExchange, target: Target, query: WriteQuery): Promise<ObjectDraft> {
  const { resource } = target;
  const parsed = parseBody(await exchange.readBody(), exchange.mediaType, resource.kind);
  const draft = worded(() =>
    decodeObject(resource, parsed, { validation: query.validation, warn: (message) => exchange.warn(message) }),
  );
  placeInNamespace(target, draft);
  return draft;
}

/**
 * Sets the namespace of the object to the namespace of the path.
 * @throws StatusError 400 when the object has another namespace
 */
function placeInNamespace(target: Target, draft: ObjectDraft): void {
  const own = stringAt(draft.metadata, 'namespace') ?? '';
  if (own !== '' && own !== (target.namespace ?? ''))
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  if (target.namespace !== undefined) draft.metadata['namespace'] = target.namespace;
}

function toStored(resource: Resource, draft: ObjectDraft): ObjectDraft {
  return resource.conversion?.stored(draft) ?? draft;
}

function worded<T>(step: () => T, patched?: JsonRecord): T {
  try {
    return step();
  } catch (error) {
    throw wordStrictProblems(error, patched);
  }
}

export async function patchObject(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  const { resource } = target;
  const { mediaType } = exchange;
  const accepted = [
    patchTypes.json,
    patchTypes.merge,
    ...(resource.custom ? [] : [patchTypes.strategic]),
    patchTypes.apply,
  ];
  if (!(accepted as string[]).includes(mediaType)) throw unsupportedMediaType(accepted);
  const query = writeQuery(exchange, 'PatchOptions');
  if (mediaType === patchTypes.apply) {
    await applyObject(deps, exchange, target, query);
    return;
  }
  if (exchange.query.get('force') !== null)
    throw invalidObject({ group: 'meta.k8s.io', plural: '', kind: 'PatchOptions' }, '', [
      { reason: 'FieldValueForbidden', message: 'Forbidden: may not be specified for non-apply patch', field: 'force' },
    ]);
  const patch = parsePatch(Buffer.from(await exchange.readBody()).toString('utf8'));
  const compute = (old: StoredObject): ObjectDraft =>
    patchedDraft(exchange, target, query, patched(resource, old, patch, mediaType));
  const key = { namespace: target.namespace, name: target.name ?? '' };
  const stored = deps.writes.update(resource, key, compute, {
    ...query,
    subresource: asSubresource(target.subresource),
    strictVersion: false,
  });
  sendObject(deps, exchange, { resource, stored, code: 200 });
}

function parsePatch(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(`error decoding patch: invalid JSON: ${text.slice(0, 64)}`);
  }
}

/** Applies a patch to the stored object, in the API version of the request. */
function patched(resource: Resource, old: StoredObject, patch: unknown, mediaType: string): unknown {
  const live = shown(resource, old);
  switch (mediaType) {
    case patchTypes.json:
      return applyJsonPatch(live, patch);
    case patchTypes.merge:
      return applyMergePatch(live, patch);
    default:
      return goOrder(resource, applyStrategicMergePatch(live, patch, resource.schema));
  }
}

/**
 * Sorts the keys of a built-in object, because kube-apiserver does so: it converts the object to Go maps before it
 * applies a configuration or a strategic merge patch, and Go's encoder writes the keys of a map in sorted order. This
 * order remains in the fields that have no type.
 */
function goOrder<T>(resource: Resource, object: T): T {
  return resource.custom ? object : sorted(object);
}

function patchedDraft(exchange: ApiExchange, target: Target, query: WriteQuery, whole: unknown): ObjectDraft {
  const { resource, name = '' } = target;
  const made = copyOf(whole);
  if (!isRecord(whole) || !isRecord(made)) throw badRequest('the patched object is not an object');
  checkType(resource, made);
  const draft = worded(
    () =>
      shapeObject(resource, made, {
        validation: query.validation,
        warn: (message) => exchange.warn(message),
        duplicates: [],
      }),
    whole,
  );
  checkNames(target, draft, name);
  return toStored(resource, draft);
}

function checkNames(target: Target, draft: ObjectDraft, name: string): void {
  const named = stringAt(draft.metadata, 'name') ?? '';
  if (named !== name)
    throw badRequest(`the name of the object (${named}) does not match the name on the URL (${name})`);
  placeInNamespace(target, draft);
}

async function applyObject(deps: ApiDeps, exchange: ApiExchange, target: Target, query: WriteQuery): Promise<void> {
  const { resource, namespace, name = '' } = target;
  if ((exchange.query.get('fieldManager') ?? '') === '')
    throw invalidObject({ group: 'meta.k8s.io', plural: '', kind: 'PatchOptions' }, '', [
      requiredValue('fieldManager', 'is required for apply patch'),
    ]);
  const subresource = asSubresource(target.subresource);
  const config = readConfig(target, Buffer.from(await exchange.readBody()).toString('utf8'));
  const applied = (old: StoredObject | undefined): ObjectDraft => {
    const live = old === undefined ? undefined : shown(resource, old);
    const force = exchange.query.get('force') === 'true';
    const wanted = applyConfig({
      resource,
      live,
      config,
      manager: query.manager,
      force,
      subresource,
      time: toTime(deps.clock.now()),
    });
    placeInNamespace(target, wanted);
    const shaped = goOrder(resource, wanted);
    return toStored(
      resource,
      worded(
        () =>
          shapeObject(resource, shaped, {
            validation: query.validation,
            warn: (message) => exchange.warn(message),
            duplicates: [],
          }),
        shaped,
      ),
    );
  };
  const isNew = deps.store.get(resource.table, storeKeyOf(namespace, name)) === undefined;
  if (isNew && subresource === '') {
    sendObject(deps, exchange, {
      resource,
      stored: deps.writes.create(resource, newDraft(resource, applied(undefined), name), { ...query, applied: true }),
      code: 201,
    });
    return;
  }
  const stored = deps.writes.update(resource, { namespace, name }, applied, {
    ...query,
    subresource,
    applied: true,
    strictVersion: false,
  });
  sendObject(deps, exchange, { resource, stored, code: 200 });
}

function newDraft(resource: Resource, draft: ObjectDraft, name: string): ObjectDraft {
  const uid = stringAt(draft.metadata, 'uid') ?? '';
  if (uid !== '')
    throw conflict(
      resource,
      name,
      `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
    );
  delete draft.metadata['resourceVersion'];
  return draft;
}

function readConfig(target: Target, text: string): ObjectDraft {
  const { resource, name = '' } = target;
  const value = text.trimStart().startsWith('{') ? parseConfigJson(text) : parseYamlText(text);
  if (!isRecord(value)) throw badRequest('error decoding YAML: the configuration is not an object');
  const { metadata = {} } = value;
  if (stringAt(value, 'kind') === undefined || stringAt(value, 'apiVersion') === undefined)
    throw badRequest('invalid object type: /, Kind=');
  checkType(resource, value);
  if (!isRecord(metadata)) throw badRequest('metadata is not an object');
  if (metadata['managedFields'] !== undefined) throw badRequest('metadata.managedFields must be nil');
  metadata['name'] ??= name;
  const draft: ObjectDraft = { ...value, metadata };
  checkNames(target, { ...draft, metadata: { ...metadata } }, name);
  return draft;
}

function parseConfigJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A text that looks like JSON may be YAML in flow style.
    return parseYaml(text, { maxAliasCount: 100 });
  }
}
