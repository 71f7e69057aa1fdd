/**
 * The scale subresource: the replicas of any scalable resource, as one type.
 * Owns: the Scale object, which is built from the paths that a resource declares, and writing the requested replicas to
 * the resource.
 */
import type { StoredObject } from '../../objects.ts';
import type { ApiDeps } from '../core.ts';
import { parseBody } from '../decode.ts';
import { isRecord } from '../../../api/record.ts';
import { at, copyOf, numberAt, recordIn, recordOf, stringAt, type JsonRecord } from '../../../lib/json.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import type { ObjectDraft, Resource } from '../resource.ts';
import { invalidValue } from '../../../kube/schema/cause.ts';
import { badRequest, invalidObject, methodNotAllowed, notFound, unsupportedMediaType } from '../status.ts';
import { storeKeyOf } from '../store.ts';
import { scaleColumns } from '../builtin/columns.ts';
import { writeQuery, type ApiExchange, type Target } from './exchange.ts';
import { formOf, tableOf } from './table.ts';

export async function serveScale(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  switch (exchange.method) {
    case 'GET':
      sendScale(deps, exchange, scaleOf(target.resource, storedObject(deps, target)));
      return;
    case 'PUT':
    case 'PATCH':
      await writeScale(deps, exchange, target);
      return;
    default:
      throw methodNotAllowed();
  }
}

/** Sends the scale as JSON, or as a table, which `kubectl get --subresource=scale` requests. */
function sendScale(deps: ApiDeps, exchange: ApiExchange, scale: JsonRecord): void {
  const form = formOf(exchange.accept, exchange.query.get('includeObject'));
  const object = scale as StoredObject;
  if (form.kind !== 'table') exchange.sendJson(200, scale);
  else
    exchange.sendJson(
      200,
      tableOf(
        [{ stored: object, shown: object }],
        { resourceVersion: object.metadata.resourceVersion },
        { columns: scaleColumns, nowMs: deps.clock.now(), include: form.include, withColumns: true },
      ),
    );
}

function storedObject(deps: ApiDeps, target: Target): StoredObject {
  const stored = deps.store.get(target.resource.table, storeKeyOf(target.namespace, target.name ?? ''));
  if (stored === undefined) throw notFound(target.resource, target.name ?? '');
  return stored;
}

async function writeScale(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  const { resource, namespace, name = '' } = target;
  const query = writeQuery(exchange, exchange.method === 'PUT' ? 'UpdateOptions' : 'PatchOptions');
  const bytes = await exchange.readBody();
  const compute = (old: StoredObject): ObjectDraft => {
    const wanted = wantedScale(exchange, bytes, scaleOf(resource, old));
    const replicas = numberAt(wanted, 'spec', 'replicas') ?? 0;
    if (replicas < 0 && !resource.custom)
      throw invalidObject({ group: 'autoscaling', plural: '', kind: 'Scale' }, name, [
        invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'),
      ]);
    const draft = copyOf(old) as unknown as ObjectDraft;
    draft.metadata['resourceVersion'] = stringAt(wanted, 'metadata', 'resourceVersion') ?? '';
    setAt(draft, resource.scale?.spec ?? [], replicas);
    return draft;
  };
  const stored = deps.writes.update(resource, { namespace, name }, compute, {
    ...query,
    subresource: 'scale',
    strictVersion: false,
  });
  sendScale(deps, exchange, scaleOf(resource, stored));
}

function wantedScale(exchange: ApiExchange, bytes: Uint8Array, live: JsonRecord): JsonRecord {
  const media = exchange.mediaType;
  const isPut = exchange.method === 'PUT';
  const { value } = parseBody(bytes, isPut ? media : 'application/json', 'Scale');
  if (isPut && isRecord(value)) return value;
  if (media === 'application/json-patch+json') return recordOf(applyJsonPatch(live, value));
  if (media === 'application/merge-patch+json' || media === 'application/strategic-merge-patch+json')
    return recordOf(applyMergePatch(live, value));
  if (isPut) throw badRequest('the body of a PUT of /scale must be a Scale object');
  throw unsupportedMediaType([
    'application/json-patch+json',
    'application/merge-patch+json',
    'application/strategic-merge-patch+json',
  ]);
}

function setAt(draft: JsonRecord, path: readonly string[], value: unknown): void {
  const [field = '', ...rest] = path;
  if (rest.length === 0) draft[field] = value;
  else setAt(recordIn(draft, field), rest, value);
}

function scaleOf(resource: Resource, stored: StoredObject): JsonRecord {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = stored.metadata;
  const paths = resource.scale ?? { spec: [], status: [] };
  const replicas = numberAt(stored, ...paths.spec) ?? 0;
  const selector = paths.selector === undefined ? undefined : selectorText(at(stored, ...paths.selector));
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
    // Go's encoder omits replicas of zero.
    spec: replicas === 0 ? {} : { replicas },
    status: { replicas: numberAt(stored, ...paths.status) ?? 0, ...(selector === undefined ? {} : { selector }) },
  };
}

function selectorText(selector: unknown): string | undefined {
  if (typeof selector === 'string') return selector;
  const labels = at(selector, 'matchLabels');
  if (!isRecord(labels)) return undefined;
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}
