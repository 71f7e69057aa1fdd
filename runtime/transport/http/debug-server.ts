/**
 * The routes of the metrics port: /metrics, /counters and /config; for sidecars also /samples and the inference
 * protocols, whose requests are not counted as traffic.
 *
 * Owns: these routes. The routes have their own port, so that a NetworkPolicy can treat them differently from user
 *       requests. They need no framework: loading Express takes 100 ms of CPU time at each start.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tokenHeader } from '../../../api/access.ts';
import { AppError, messageOf } from '../../../api/errors.ts';
import { printTaken } from '../../sampling/sample.ts';
import type { Sampler } from '../../sampling/sampler.ts';
import type { Door } from '../../config/access-file.ts';

export type DebugDeps = {
  readonly metrics: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** The fields of the report, without `seq`. */
  readonly counters: () => unknown;
  /** The configuration in force, without secrets. */
  readonly config: () => unknown;
  readonly sampler: Pick<Sampler, 'ask' | 'take'>;
  /**
   * Answers an inference request. A sidecar's request is not counted, and a request with `besideHeader`
   * (call/beside.ts) is refused while user requests wait. A request without the token is treated as a user's request.
   */
  readonly answerUncounted: (request: IncomingMessage, response: ServerResponse, isSidecar: boolean) => Promise<void>;
  /** Checks the token, which is required to turn on sampling, to take samples, and to send uncounted requests. */
  readonly door: Pick<Door, 'isOpenTo' | 'sampleRate'>;
};

/** A request's query, without decoding of the path: the paths of these routes have no escapes. */
type Asked = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
};

export function debugApp(deps: DebugDeps): (request: IncomingMessage, response: ServerResponse) => void {
  const isSidecar = (request: IncomingMessage): boolean => deps.door.isOpenTo(request.headers[tokenHeader]);
  const routes = new Map<string, (asked: Asked) => void>([
    ['GET /metrics', ({ request, response }) => void deps.metrics(request, response)],
    // A sidecar also sets the share of requests to sample; callers without the token can only read the counters.
    [
      'GET /counters',
      ({ request, response, query }) => {
        const share = Number(query.get('sample') ?? NaN);
        if (share >= 0 && share <= 1 && isSidecar(request)) deps.sampler.ask(Math.min(share, deps.door.sampleRate));
        sendJson(response, 200, deps.counters());
      },
    ],
    [
      'POST /samples',
      ({ request, response, query }) => {
        if (!isSidecar(request)) {
          const error = new AppError('TOKEN_MISSING', { what: 'samples of live requests' });
          sendJson(response, 401, { error: error.message });
          return;
        }
        const max = Number(query.get('max') ?? 1);
        send(response, 200, 'application/octet-stream', printTaken(deps.sampler.take(max > 0 ? max : 1)));
      },
    ],
    ['GET /config', ({ response }) => sendJson(response, 200, deps.config())],
  ]);
  return (request, response) => {
    const { url = '/', method = 'GET' } = request;
    const [path = '/', query] = url.split('?', 2);
    if (/^\/v[12](\/|$)/.test(path)) return void deps.answerUncounted(request, response, isSidecar(request));
    // Discard a body: no route below reads one, and an unread body would block the connection.
    request.resume();
    const route = routes.get(`${method === 'HEAD' ? 'GET' : method} ${path.replace(/(?<=.)\/$/, '')}`);
    if (route !== undefined) return answered(route, { request, response, query: new URLSearchParams(query) });
    return sendJson(response, 404, {
      error: `no such endpoint: ${method} ${path}; available: ${[...routes.keys()].join(', ')}`,
    });
  };
}

/** A route that fails answers 500: its error must not end the process. */
function answered(route: (asked: Asked) => void, asked: Asked): void {
  try {
    route(asked);
  } catch (error) {
    sendJson(asked.response, 500, { error: `internal error: ${messageOf(error)}` });
  }
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json; charset=utf-8', Buffer.from(JSON.stringify(value)));
}

/** Node leaves out the body of an answer to HEAD. */
function send(response: ServerResponse, status: number, contentType: string, body: Uint8Array): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': body.length });
  response.end(body);
}
