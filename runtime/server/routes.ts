/**
 * Which path is answered by whom.
 *
 * Owns:  the table of exact paths and the grammar of the protocol's model paths.
 */
import { AppError } from '../../api/errors.ts';
import type { ClientError } from '../tasks/task.ts';
import type { Answer } from './answer.ts';
import type { Exchange } from './exchange.ts';
import type { RouteName } from './metrics.ts';

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
};

const methods: Readonly<Record<ModelCall, 'GET' | 'POST'>> = { metadata: 'GET', ready: 'GET', infer: 'POST', config: 'GET', stats: 'GET' };
const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer|config|stats))?$/;

/** @throws AppError PATH_UNKNOWN, MODEL_UNKNOWN */
export function findRoute(table: RouteTable, method: string, path: string): Route {
  // HEAD is GET without the body, which node leaves out by itself.
  const asked = method === 'HEAD' ? 'GET' : method;
  const exact = table.exact.get(`${asked} ${path}`);
  if (exact !== undefined) return exact;
  const [, name, version, call = 'metadata'] = modelPath.exec(path) ?? [];
  if (name === undefined || methods[call as ModelCall] !== asked) throw new AppError('PATH_UNKNOWN', { method: shown(method), path: shown(path) });
  const { served } = table;
  const decoded = decode(name);
  if (decoded !== served.name) throw new AppError('MODEL_UNKNOWN', { asked: shown(decoded), served: served.name });
  if (version !== undefined && decode(version) !== served.version) {
    throw new AppError('MODEL_UNKNOWN', { asked: `${served.name} version ${shown(decode(version))}`, served: `${served.name} version ${served.version}` });
  }
  return table.model[call as ModelCall];
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
