/**
 * DELETE of an object and of a collection.
 * Owns: reading DeleteOptions from the body and the query, and the answer to a deletion.
 */
import type { ApiDeps } from '../core.ts';
import { parseBody } from '../decode.ts';
import type { DeletionOptions, Deletion, Propagation } from '../deletes.ts';
import { shown } from '../direct-objects.ts';
import { isRecord } from '../../../api/record.ts';
import { listOf, numberAt, stringAt, type JsonRecord } from '../../../lib/json.ts';
import type { Resource } from '../resource.ts';
import { unsupportedValue } from '../../../kube/schema/cause.ts';
import { badRequest, invalidObject } from '../status.ts';
import type { ApiExchange, Target } from './exchange.ts';
import { integerOf, listQuery, sendObject } from './read.ts';
import { listOfObjects } from './table.ts';

/**
 * When an object of these kinds is deleted, the answer is the object. For other kinds, the answer is a Status, or the
 * object while the deletion is pending.
 */
const answersWithObject = new Set(['Pod', 'Service', 'ServiceAccount', 'PersistentVolumeClaim']);

export async function deleteObject(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  const { resource, namespace, name = '' } = target;
  const deletion = deps.deletes.delete(resource, { namespace, name }, await deleteOptions(exchange));
  if (deletion.outcome === 'pending' || answersWithObject.has(resource.kind))
    sendObject(deps, exchange, { resource, stored: deletion.object, code: 200 });
  else exchange.sendJson(200, goneStatus(resource, deletion));
}

function goneStatus(resource: Resource, deletion: Deletion): JsonRecord {
  const { name, uid } = deletion.object.metadata;
  const details = { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural, uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

export async function deleteCollection(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  const { resource, namespace } = target;
  const options = await deleteOptions(exchange);
  const { matches } = listQuery(exchange, resource);
  const doomed = deps.store.list(resource.table, namespace).filter(matches);
  for (const object of doomed)
    deps.deletes.delete(resource, { namespace: object.metadata.namespace, name: object.metadata.name }, options);
  exchange.sendJson(
    200,
    listOfObjects(
      resource,
      doomed.map((object) => shown(resource, object)),
      { resourceVersion: String(deps.store.revision) },
    ),
  );
}

/** The options in the body. An option that is missing in the body is taken from the query. */
async function deleteOptions(exchange: ApiExchange): Promise<DeletionOptions> {
  const bytes = await exchange.readBody();
  const body = bytes.byteLength === 0 ? {} : parseBody(bytes, exchange.mediaType, 'DeleteOptions').value;
  if (!isRecord(body)) throw badRequest('the body of a DELETE must be a DeleteOptions object');
  const propagation =
    stringAt(body, 'propagationPolicy') ?? exchange.query.get('propagationPolicy') ?? orphanWish(body, exchange);
  return {
    propagation: propagation === undefined ? undefined : asPropagation(propagation),
    graceSeconds: numberAt(body, 'gracePeriodSeconds') ?? integerOf(exchange.query.get('gracePeriodSeconds') ?? ''),
    uid: stringAt(body, 'preconditions', 'uid'),
    resourceVersion: stringAt(body, 'preconditions', 'resourceVersion'),
    dryRun: [...listOf(body['dryRun']), ...exchange.query.getAll('dryRun')].includes('All'),
  };
}

/** The propagation policy that the deprecated field `orphanDependents` requests. */
function orphanWish(body: JsonRecord, exchange: ApiExchange): string | undefined {
  const wish = body['orphanDependents'] ?? exchange.query.get('orphanDependents');
  if (wish === true || wish === 'true') return 'Orphan';
  return wish === false || wish === 'false' ? 'Background' : undefined;
}

function asPropagation(text: string): Propagation {
  if (text === 'Background' || text === 'Foreground' || text === 'Orphan') return text;
  throw invalidObject({ group: 'meta.k8s.io', plural: '', kind: 'DeleteOptions' }, '', [
    unsupportedValue('propagationPolicy', text, ['Foreground', 'Background', 'Orphan', 'nil']),
  ]);
}
