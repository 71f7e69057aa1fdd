/**
 * Finds the handler for a path and a method.
 * Owns: the paths of the Kubernetes API that local mode serves. Any other path is answered with 404, as on the real
 * server.
 */
import type { LogSource } from '../../objects.ts';
import type { ApiDeps } from '../core.ts';
import { badRequest, forbidden, methodNotAllowed, notServed, StatusError, unknownPath } from '../status.ts';
import { aggregated, aggregatedType, apiVersions, group, groupList, isAggregated, resourceList } from './discovery.ts';
import type { ApiExchange, Target } from './exchange.ts';
import { streamLog } from './logs.ts';
import type { OpenApi } from './openapi.ts';
import { getObject, listObjects } from './read.ts';
import { deleteCollection, deleteObject } from './remove.ts';
import { answerReview, reviews } from './reviews.ts';
import { serveScale } from './scale.ts';
import type { Watches, WatchOptions } from './watch.ts';
import { createObject, patchObject, replaceObject } from './write.ts';
import { ownValue } from '../../../api/record.ts';

export type RouteDeps = {
  readonly core: ApiDeps;
  readonly openApi: OpenApi;
  readonly watches: Watches;
  readonly watchOptions: WatchOptions;
  readonly logs: () => LogSource | undefined;
};

const version = {
  major: '1',
  minor: '35',
  gitVersion: 'v1.35.0+onnx-local',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

export async function route(deps: RouteDeps, exchange: ApiExchange): Promise<void> {
  refuseImpersonation(exchange);
  const segments = exchange.path
    .split('/')
    .filter((segment) => segment !== '')
    .map(decode);
  const [first, ...rest] = segments;
  switch (first) {
    case 'version':
      exchange.sendJson(200, version);
      return;
    case 'healthz':
    case 'livez':
    case 'readyz':
      serveHealth(exchange, first, rest);
      return;
    case 'openapi':
      serveOpenApi(deps, exchange, rest);
      return;
    case 'api':
    case 'apis':
      await routeApi(deps, exchange, first, rest);
      return;
    default:
      throw unknownPath();
  }
}

/**
 * Refuses impersonation. Its purpose is to test a user's permissions, and this server does not have permissions: every
 * user would seem to be allowed everything.
 */
function refuseImpersonation(exchange: ApiExchange): void {
  const user = exchange.request.headers['impersonate-user'];
  if (user === undefined) return;
  throw forbidden(
    { group: '', plural: 'users', kind: 'User' },
    String(user),
    'local mode has one user, who may do everything: impersonation is not supported',
  );
}

function serveHealth(exchange: ApiExchange, name: string, checks: readonly string[]): void {
  const isKnown = checks.length === 0 || (checks.length === 1 && checks[0] === 'ping');
  const text = exchange.query.has('verbose') ? `[+]ping ok\n${name} check passed\n` : 'ok';
  exchange.send(isKnown ? 200 : 404, isKnown ? text : '404 page not found\n', 'text/plain; charset=utf-8');
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw unknownPath();
  }
}

function serveOpenApi(deps: RouteDeps, exchange: ApiExchange, rest: readonly string[]): void {
  const [generation, ...path] = rest;
  if (generation !== 'v3') throw unknownPath();
  if (path.length === 0) {
    exchange.sendJson(200, deps.openApi.index());
    return;
  }
  const text = deps.openApi.document(path.join('/'));
  if (text === undefined) throw unknownPath();
  exchange.send(200, text, 'application/json');
}

/** Handles `/api`, `/apis`, a group, a version, or a path below a version. */
async function routeApi(
  deps: RouteDeps,
  exchange: ApiExchange,
  root: 'api' | 'apis',
  rest: readonly string[],
): Promise<void> {
  const isCore = root === 'api';
  const inGroup = isCore ? rest : rest.slice(1);
  const [name] = rest;
  if (rest.length === 0) serveRoot(deps, exchange, isCore);
  else if (!isCore && rest.length === 1) exchange.sendJson(200, found(group(deps.core.catalog.all(), name ?? '')));
  else {
    const apiVersion = isCore ? (name ?? '') : `${name ?? ''}/${inGroup[0] ?? ''}`;
    await routeVersion(deps, exchange, apiVersion, inGroup.slice(1));
  }
}

function serveRoot(deps: RouteDeps, exchange: ApiExchange, isCore: boolean): void {
  const resources = deps.core.catalog.all();
  const form = isAggregated(exchange.accept);
  if (form !== undefined) exchange.sendJson(200, aggregated(resources, form, isCore), aggregatedType(form));
  else exchange.sendJson(200, isCore ? apiVersions() : groupList(resources));
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw unknownPath();
  return value;
}

async function routeVersion(
  deps: RouteDeps,
  exchange: ApiExchange,
  apiVersion: string,
  rest: readonly string[],
): Promise<void> {
  if (rest.length === 0) {
    const list = resourceList(deps.core.catalog.all(), apiVersion);
    if (list === undefined) throw notServed(apiVersion);
    exchange.sendJson(200, list);
    return;
  }
  const review = reviews.find((one) => `${one.group}/v1` === apiVersion && rest.length === 1 && rest[0] === one.plural);
  if (review !== undefined) await answerReview(exchange, review);
  else await serveTarget(deps, exchange, targetOf(deps.core, apiVersion, rest));
}

/**
 * Parses a path below a version: `namespaces/NS/plural/name/sub` or `plural/name/sub`. The paths `namespaces/NS` and
 * `namespaces/NS/status` are the namespace object itself.
 */
function targetOf(deps: ApiDeps, apiVersion: string, rest: readonly string[]): Target {
  const [first, second, third] = rest;
  const ofNamespace = first === 'namespaces' && third !== undefined && !['status', 'finalize'].includes(third);
  const namespace = ofNamespace ? second : undefined;
  const [plural = '', name, subresource = '', ...tooDeep] = ofNamespace ? rest.slice(2) : rest;
  const resource = deps.catalog.find(apiVersion, plural);
  if (resource === undefined) throw notServed(`${plural} of ${apiVersion}`);
  const target = { resource, namespace, name, subresource };
  if (!isInScope(target) || tooDeep.length > 0) throw unknownPath();
  return target;
}

/**
 * Whether the path has a namespace where one is needed. A namespaced object needs one; a collection may span all
 * namespaces. The path of a cluster-scoped resource must not have one.
 */
function isInScope({ resource, namespace, name }: Target): boolean {
  return namespace === undefined ? name === undefined || !resource.namespaced : resource.namespaced;
}

async function serveTarget(deps: RouteDeps, exchange: ApiExchange, target: Target): Promise<void> {
  const { core } = deps;
  if (target.resource.deprecation !== undefined) exchange.warn(target.resource.deprecation);
  switch (target.subresource) {
    case '':
      await serveObjects(deps, exchange, target);
      return;
    case 'status':
      if (!target.resource.hasStatus) throw unknownPath();
      await serveStatus(core, exchange, target);
      return;
    case 'scale':
      if (target.resource.scale === undefined) throw unknownPath();
      await serveScale(core, exchange, target);
      return;
    default:
      await servePodSubresource(deps, exchange, target);
  }
}

async function servePodSubresource(deps: RouteDeps, exchange: ApiExchange, target: Target): Promise<void> {
  if (target.resource.table !== 'pods') throw notServed(`${target.resource.plural}/${target.subresource}`);
  if (target.subresource === 'log' && exchange.method === 'GET')
    await streamLog(deps.core, exchange, target, deps.logs());
  else if (target.subresource === 'portforward') throw badRequest('ports are forwarded over SPDY/3.1 only');
  else if (['exec', 'attach'].includes(target.subresource))
    throw new StatusError(
      501,
      'NotImplemented',
      `${target.subresource} is not served by local mode: pods run as processes of this machine; inspect them ` +
        'with its tools',
    );
  else throw notServed(`pods/${target.subresource}`);
}

async function serveStatus(deps: ApiDeps, exchange: ApiExchange, target: Target): Promise<void> {
  switch (exchange.method) {
    case 'GET':
      getObject(deps, exchange, target);
      return;
    case 'PUT':
      await replaceObject(deps, exchange, target);
      return;
    case 'PATCH':
      await patchObject(deps, exchange, target);
      return;
    default:
      throw methodNotAllowed();
  }
}

async function serveObjects(deps: RouteDeps, exchange: ApiExchange, target: Target): Promise<void> {
  if (exchange.method === 'GET') {
    read(deps, exchange, target);
    return;
  }
  const handlers = target.name === undefined ? ofCollections : ofObjects;
  const handle = ownValue(handlers, exchange.method);
  const isScoped = target.namespace !== undefined || !target.resource.namespaced;
  if (handle === undefined || !isScoped) throw methodNotAllowed();
  await handle(deps.core, exchange, target);
}

type Handler = (deps: ApiDeps, exchange: ApiExchange, target: Target) => Promise<void>;

const ofCollections: Readonly<Record<string, Handler>> = { POST: createObject, DELETE: deleteCollection };
const ofObjects: Readonly<Record<string, Handler>> = { PUT: replaceObject, PATCH: patchObject, DELETE: deleteObject };

function read(deps: RouteDeps, exchange: ApiExchange, target: Target): void {
  const wanted = exchange.query.get('watch');
  if (wanted === 'true' || wanted === '1') deps.watches.start(deps.core, exchange, target, deps.watchOptions);
  else if (target.name === undefined) listObjects(deps.core, exchange, target);
  else getObject(deps.core, exchange, target);
}
