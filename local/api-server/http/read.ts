/**
 * GET of one object and of collections.
 * Owns: selectors, pages, and the revision of the store that a list shows. Every write increases the revision. All
 * pages of a list show the state at the time of the first page; it is reconstructed from the remembered changes.
 */
import type { StoredObject } from '../../objects.ts';
import type { ApiDeps } from '../core.ts';
import { shown } from '../direct-objects.ts';
import { isRecord } from '../../../api/record.ts';
import { numberAt, stringAt, type JsonRecord } from '../../../lib/json.ts';
import type { Resource } from '../resource.ts';
import { matchAll, parseFieldSelector, parseLabelSelector, type Matcher } from '../selectors.ts';
import { forbiddenValue, unsupportedValue, type Cause } from '../../../kube/schema/cause.ts';
import { badRequest, expired, invalidObject, notFound, StatusError } from '../status.ts';
import { storeKeyOf, type Store } from '../store.ts';
import type { ApiExchange, Target } from './exchange.ts';
import { formOf, listOfObjects, metadataOf, tableOf, type Form } from './table.ts';

export function getObject(deps: ApiDeps, exchange: ApiExchange, target: Target): void {
  const { resource, namespace, name = '' } = target;
  const stored = deps.store.get(resource.table, storeKeyOf(namespace, name));
  if (stored === undefined) throw notFound(resource, name);
  sendObject(deps, exchange, { resource, stored, code: 200 });
}

/** Answers with one object in the requested form. */
export function sendObject(
  deps: ApiDeps,
  exchange: ApiExchange,
  answer: { readonly resource: Resource; readonly stored: StoredObject; readonly code: number },
): void {
  const { resource, stored, code } = answer;
  const form = formOf(exchange.accept, exchange.query.get('includeObject'));
  exchange.sendJson(code, presented(deps, form, resource, stored));
}

function presented(deps: ApiDeps, form: Form, resource: Resource, stored: StoredObject): unknown {
  const object = shown(resource, stored);
  switch (form.kind) {
    case 'object':
      return object;
    case 'metadata':
      return metadataOf(object);
    case 'table':
      return tableOf(
        [{ stored, shown: object }],
        { resourceVersion: stored.metadata.resourceVersion },
        { columns: resource.columns, nowMs: deps.clock.now(), include: form.include, withColumns: true },
      );
  }
}

export function listObjects(deps: ApiDeps, exchange: ApiExchange, target: Target): void {
  const { resource } = target;
  const options = listQuery(exchange, resource);
  const page = pageOf(deps.store, target, options);
  const form = formOf(exchange.accept, exchange.query.get('includeObject'));
  const metadata = {
    resourceVersion: String(page.revision),
    ...(page.next === undefined ? {} : { continue: page.next }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  exchange.sendJson(200, presentedList(deps, form, resource, { items: page.items, metadata }));
}

function presentedList(
  deps: ApiDeps,
  form: Form,
  resource: Resource,
  page: { readonly items: readonly StoredObject[]; readonly metadata: JsonRecord },
): JsonRecord {
  const objects = page.items.map((stored) => ({ stored, shown: shown(resource, stored) }));
  switch (form.kind) {
    case 'object':
      return listOfObjects(
        resource,
        objects.map((one) => one.shown),
        page.metadata,
      );
    case 'metadata':
      return {
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata: page.metadata,
        items: objects.map((one) => metadataOf(one.shown)),
      };
    case 'table':
      return tableOf(objects, page.metadata, {
        columns: resource.columns,
        nowMs: deps.clock.now(),
        include: form.include,
        withColumns: true,
      });
  }
}

export type ListRequest = {
  readonly matches: Matcher;
  readonly isSelective: boolean;
  readonly limit: number;
  readonly continueFrom: string;
  readonly revision: number | undefined;
  readonly match: string;
};

/** @throws StatusError 400, 422 */
export function listQuery(exchange: ApiExchange, resource: Resource): ListRequest {
  const text = (name: string): string => exchange.query.get(name) ?? '';
  const labels = text('labelSelector');
  const fields = text('fieldSelector');
  const matchers = [
    labels === '' ? matchAll : parseLabelSelector(labels),
    fields === '' ? matchAll : parseFieldSelector(fields, resource),
  ];
  checkMatch(text('resourceVersion'), text('resourceVersionMatch'), text('continue'));
  return {
    matches: (object) => matchers.every((matches) => matches(object)),
    isSelective: labels !== '' || fields !== '',
    limit: integerOf(text('limit')) ?? 0,
    continueFrom: text('continue'),
    revision: revisionOf(text('resourceVersion')),
    match: text('resourceVersionMatch'),
  };
}

function checkMatch(version: string, match: string, next: string): void {
  if (match === '') return;
  const causes: Cause[] = [];
  if (version === '')
    causes.push(
      forbiddenValue('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
    );
  if (next !== '')
    causes.push(forbiddenValue('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'));
  if (match !== 'Exact' && match !== 'NotOlderThan')
    causes.push(unsupportedValue('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']));
  if (match === 'Exact' && version === '0')
    causes.push(
      forbiddenValue('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    );
  if (causes.length > 0) throw invalidObject({ group: 'meta.k8s.io', plural: '', kind: 'ListOptions' }, '', causes);
}

export function integerOf(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^[+-]?\d{1,15}$/.test(text))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

function revisionOf(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: ` +
        `parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return Number(text);
}

type Page = {
  readonly items: readonly StoredObject[];
  readonly revision: number;
  readonly next?: string;
  readonly remaining?: number;
};

function pageOf(store: Store, target: Target, query: ListRequest): Page {
  const { resource, namespace } = target;
  const token = query.continueFrom === '' ? undefined : readToken(query.continueFrom);
  const revision = token?.revision ?? wantedRevision(store, query);
  const all = stateAt(store, resource.table, revision, token);
  const rest = all
    .filter(
      (object) =>
        (namespace === undefined || object.metadata.namespace === namespace) &&
        (token === undefined || keyOfObject(object) > token.after),
    )
    .filter(query.matches);
  const items = query.limit > 0 ? rest.slice(0, query.limit) : rest;
  const last = items.at(-1);
  if (last === undefined || items.length === rest.length) return { items, revision };
  const next = writeToken({ revision, after: keyOfObject(last) });
  return { items, revision, next, ...(query.isSelective ? {} : { remaining: rest.length - items.length }) };
}

function keyOfObject(object: StoredObject): string {
  return storeKeyOf(object.metadata.namespace, object.metadata.name);
}

function wantedRevision(store: Store, query: ListRequest): number {
  if (query.revision === undefined || query.revision === 0) return store.revision;
  if (query.revision > store.revision) throw tooLarge(query.revision, store.revision);
  return query.match === 'Exact' ? query.revision : store.revision;
}

export function tooLarge(asked: number, current: number): StatusError {
  return new StatusError(504, 'Timeout', `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

type Token = { readonly revision: number; readonly after: string };

function writeToken(token: Token): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start: token.after })).toString(
    'base64url',
  );
}

function readToken(text: string): Token {
  try {
    const found: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    const revision = numberAt(found, 'rv');
    const after = stringAt(found, 'start');
    if (isRecord(found) && revision !== undefined && after !== undefined) return { revision, after };
  } catch {
    // The text is not a continue token, so the error below is thrown.
  }
  throw badRequest(
    "invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value",
  );
}

const tokenTooOld =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list ' +
  'without the continue parameter, or use the continue token in this response to retrieve the remainder of the ' +
  'results. Continuing with the provided token results in an inconsistent list - objects that were created, ' +
  'modified, or deleted between the time the first chunk was returned and now may show up in the list.';

/**
 * All objects of a table as they were at a revision.
 * @throws StatusError 410 when the store has forgotten changes since this revision
 */
function stateAt(store: Store, table: string, revision: number, token: Token | undefined): readonly StoredObject[] {
  if (revision === store.revision) return store.list(table);
  if (!store.remembers(table, revision))
    throw expired(token === undefined ? `The resourceVersion for the provided list is too old.` : tokenTooOld);
  const state = new Map(store.list(table).map((object) => [keyOfObject(object), object]));
  for (const change of store.changesSince(table, revision).toReversed()) {
    if (change.previous === undefined) state.delete(keyOfObject(change.object));
    else state.set(keyOfObject(change.previous), change.previous);
  }
  return [...state].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}
