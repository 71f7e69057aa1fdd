/**
 * Which path is answered by whom.
 *
 * Owns:  what a route is and what its handler sees of a request; the table of exact paths and the
 *        grammar of the model paths of both protocols. A slash at the end of a path
 *        changes nothing.
 */
import { AppError } from '../../../api/errors.ts';
import { ownValue } from '../../../api/record.ts';
import { openAiError } from '../../protocol/openai/embeddings.ts';
import { tasks } from '../../tasks/registry.ts';
import type { ClientError } from '../../call/call.ts';
import { protocolErrorBody, type Answer } from '../../call/answer.ts';
import type { RouteName } from '../../call/metrics.ts';
import type { RequestTrace } from '../../call/trace.ts';

/** What a handler sees of its request. */
export type Exchange = {
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Decompressed and bounded. @param headBytes bytes before data that should lie aligned, 0 for none */
  readonly readBody: (headBytes: number) => Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Charges what the answer will take. @throws AppError BODIES_FULL, REQUEST_TOO_LARGE for more than all answers may
   * have
   */
  readonly hold: (bytes: number) => void;
  readonly trace: RequestTrace;
  /** Aborted when the client leaves or its deadline has come. */
  readonly signal: AbortSignal;
  /** On the clock's monotonic scale, from the header; undefined without one. */
  readonly deadlineMs: number | undefined;
  /** Says that the body gives a deadline, too: the earlier one counts. @returns it, on the clock's monotonic scale */
  readonly endBy: (deadlineMs: number | undefined) => number | undefined;
  /** The clock's monotonic scale. */
  readonly nowMs: () => number;
};

export type Route = {
  readonly name: RouteName;
  /** Whether the server has to be started up and to have memory to spare. */
  readonly needsRoom: boolean;
  readonly handle: (exchange: Exchange) => Answer | Promise<Answer>;
  readonly errorBody: (error: ClientError) => unknown;
};

/** What a model path asks of the model. */
export type ModelCall = 'metadata' | 'ready' | 'infer' | 'config' | 'stats';
export type ModelRoutes = Readonly<Record<ModelCall, Route>>;

export type RouteTable = {
  /** `GET /v2/health/live` → route. */
  readonly exact: ReadonlyMap<string, Route>;
  readonly model: ModelRoutes;
  readonly served: { readonly name: string; readonly version: string };
  /** False while the model loads: its task may still add routes, so that an unknown path is only unknown for now. */
  readonly complete: boolean;
};

const methods: Readonly<Record<ModelCall, 'GET' | 'POST'>> = {
  metadata: 'GET',
  ready: 'GET',
  infer: 'POST',
  config: 'GET',
  stats: 'GET',
};
const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer|config|stats))?$/;

/** Paths that only a task answers, and which. */
const taskOf: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(tasks).flatMap(([task, { paths }]) => paths.map((path) => [path, task])),
);
const openAiModelPath = /^\/v1\/models\/(.+)$/;

/** @throws AppError PATH_UNKNOWN, METHOD_UNKNOWN, MODEL_UNKNOWN, TASK_MISSING, NOT_READY for a path that may come */
export function findRoute(table: RouteTable, method: string, path: string): Route {
  // HEAD is GET without the body, which node leaves out by itself.
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

/** How an error is written where no route was found: by the protocol that the path belongs to. */
export function errorBodyAt(path: string): Route['errorBody'] {
  return path === '/v1' || path.startsWith('/v1/') ? openAiError : protocolErrorBody;
}

function withoutSlash(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === '/') end -= 1;
  return path.slice(0, end);
}

/** @throws AppError MODEL_UNKNOWN */
function modelRoute(table: RouteTable, asked: string, path: string): Route | undefined {
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

/** One server, one model, one version: another's name is no reason to answer with this one's numbers. */
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
