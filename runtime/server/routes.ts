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
  /** False while the model loads: its task may still add routes, so that an unknown path is only unknown for now. */
  readonly complete: boolean;
};

const methods: Readonly<Record<ModelCall, 'GET' | 'POST'>> = { metadata: 'GET', ready: 'GET', infer: 'POST', config: 'GET', stats: 'GET' };
const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer|config|stats))?$/;

/** @throws AppError PATH_UNKNOWN, MODEL_UNKNOWN, NOT_READY for a path that may come */
export function findRoute(table: RouteTable, method: string, path: string): Route {
  // HEAD is GET without the body, which node leaves out by itself.
  const asked = method === 'HEAD' ? 'GET' : method;
  const exact = table.exact.get(`${asked} ${path}`);
  if (exact !== undefined) return exact;
  const [, name, version, call = 'metadata'] = modelPath.exec(path) ?? [];
  if (name === undefined || methods[call as ModelCall] !== asked) {
    throw table.complete ? new AppError('PATH_UNKNOWN', { method: shown(method), path: shown(path) }) : new AppError('NOT_READY', { state: 'loading the model' });
  }
  checkServed(table.served, decode(name), version === undefined ? undefined : decode(version));
  return table.model[call as ModelCall];
}

/** One server, one model, one version: another's name is no reason to answer with this one's numbers. */
function checkServed(served: RouteTable['served'], name: string, version: string | undefined): void {
  if (name !== served.name) throw new AppError('MODEL_UNKNOWN', { asked: shown(name), served: served.name });
  if (version === undefined || version === served.version) return;
  throw new AppError('MODEL_UNKNOWN', { asked: `${served.name} version ${shown(version)}`, served: `${served.name} version ${served.version}` });
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
