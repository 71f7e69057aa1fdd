/**
 * Chooses the handler of an HTTP path.
 *
 * Owns:  the table of exact paths, and the grammar of the model paths of both protocols. Trailing slashes are ignored.
 */
import { AppError } from '../../../api/errors.ts';
import { ownValue } from '../../../api/record.ts';
import { openAiError } from '../../protocol/openai/embeddings.ts';
import { tasks } from '../../tasks/registry.ts';
import { taskHandler } from '../../tasks/handlers.ts';
import type { TaskRoute } from '../../tasks/task.ts';
import { protocolErrorBody } from '../../call/answer.ts';
import type { Handler } from '../../call/handler.ts';
import type { ProtocolHandlers } from '../../protocol/handlers.ts';

/** Paths below a model's name and version. */
export type ModelCall = 'metadata' | 'ready' | 'infer' | 'config' | 'stats';

export type RouteTable = {
  /** Keys have the form `GET /v2/health/live`. */
  readonly exact: ReadonlyMap<string, Handler>;
  readonly model: Readonly<Record<ModelCall, Handler>>;
  readonly served: { readonly name: string; readonly version: string };
  /**
   * False while the model loads. The model's task may add routes later, so an unknown path is answered with NOT_READY.
   */
  readonly complete: boolean;
};

/** @param task undefined while the model loads */
export function routeTable(
  served: RouteTable['served'],
  handlers: ProtocolHandlers,
  task: readonly TaskRoute[] | undefined,
): RouteTable {
  return {
    served,
    complete: task !== undefined,
    exact: new Map([
      ['GET /v2/health/live', handlers.live],
      ['GET /v2/health/ready', handlers.ready],
      ['GET /startup', handlers.startup],
      ['GET /v2', handlers.server],
      ['GET /v2/models/stats', handlers.modelStats],
      ['POST /v2/repository/index', handlers.repositoryIndex],
      ['GET /v1/models', handlers.openAiModels],
      [`GET /v1/models/${served.name}`, handlers.openAiModel],
      ...(task ?? []).map((route) => [`${route.method} ${route.path}`, taskHandler(route)] as const),
    ]),
    model: {
      metadata: handlers.modelMetadata,
      ready: handlers.modelReady,
      infer: handlers.infer,
      config: handlers.modelConfig,
      stats: handlers.modelStats,
    },
  };
}

/** Whether load balancers and the kubelet probe this path. */
export function isProbe(url: string): boolean {
  return /^\/(?:startup|v2\/health\/(?:live|ready)|v2\/models\/[^/]+(?:\/versions\/[^/]+)?\/ready)\/*(?:\?|$)/.test(
    url,
  );
}

const methods: Readonly<Record<ModelCall, 'GET' | 'POST'>> = {
  metadata: 'GET',
  ready: 'GET',
  infer: 'POST',
  config: 'GET',
  stats: 'GET',
};
const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer|config|stats))?$/;

/** Maps each path that only one task answers to the name of this task. */
const taskOf: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(tasks).flatMap(([task, { paths }]) => paths.map((path) => [path, task])),
);
const openAiModelPath = /^\/v1\/models\/(.+)$/;

/** The handler of a path; for an unknown path a handler that answers with the error of findRoute. */
export function handlerAt(table: RouteTable, method: string, path: string): Handler {
  try {
    return findRoute(table, method, path);
  } catch (error) {
    const refuse = (): never => {
      throw error;
    };
    return { name: 'other', needsRoom: false, handle: refuse, errorBody: errorBodyAt(path) };
  }
}

/** @throws AppError PATH_UNKNOWN, METHOD_UNKNOWN, MODEL_UNKNOWN, TASK_MISSING, or NOT_READY while the model loads */
export function findRoute(table: RouteTable, method: string, path: string): Handler {
  // HEAD is GET without the body, which Node omits.
  const asked = method === 'HEAD' ? 'GET' : method;
  const at = withoutSlash(path);
  const found = table.exact.get(`${asked} ${at}`) ?? modelRoute(table, asked, at);
  if (found !== undefined) return found;
  if (!table.complete) throw new AppError('NOT_READY', { state: 'loading the model' });
  const allowed = methodsAt(table, at);
  if (allowed.length > 0)
    throw new AppError('METHOD_UNKNOWN', { method: shown(method), path: shown(at), allowed: allowed.join(' or ') });
  const task = ownValue(taskOf, at);
  if (task !== undefined) throw new AppError('TASK_MISSING', { path: at, model: table.served.name, task });
  throw new AppError('PATH_UNKNOWN', { method: shown(method), path: shown(path) });
}

/** The error format for a path without a route: the error format of the protocol to which the path belongs. */
export function errorBodyAt(path: string): Handler['errorBody'] {
  return path === '/v1' || path.startsWith('/v1/') ? openAiError : protocolErrorBody;
}

function withoutSlash(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === '/') end -= 1;
  return path.slice(0, end);
}

/** @throws AppError MODEL_UNKNOWN */
function modelRoute(table: RouteTable, asked: string, path: string): Handler | undefined {
  const openAi = openAiModelPath.exec(path)?.[1];
  if (openAi !== undefined && asked === 'GET') {
    checkServed(table.served, decode(openAi), undefined);
    return table.exact.get(`GET /v1/models/${table.served.name}`);
  }
  const [, name, version, call = 'metadata'] = modelPath.exec(path) ?? [];
  if (name === undefined || methods[call as ModelCall] !== asked) return undefined;
  checkServed(table.served, decode(name), version === undefined ? undefined : decode(version));
  return table.model[call as ModelCall];
}

function methodsAt(table: RouteTable, path: string): readonly string[] {
  const [, name, , call = 'metadata'] = modelPath.exec(path) ?? [];
  if (openAiModelPath.test(path)) return ['GET'];
  return ['GET', 'POST'].filter(
    (method) => table.exact.has(`${method} ${path}`) || (name !== undefined && methods[call as ModelCall] === method),
  );
}

/** A server has one version of one model; requests for another name or version are refused. */
function checkServed(served: RouteTable['served'], name: string, version: string | undefined): void {
  if (name !== served.name) throw new AppError('MODEL_UNKNOWN', { asked: shown(name), served: served.name });
  if (version === undefined || version === served.version) return;
  throw new AppError('MODEL_UNKNOWN', {
    asked: `${served.name} version ${shown(version)}`,
    served: `${served.name} version ${served.version}`,
  });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function shown(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
