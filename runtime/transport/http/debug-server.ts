/**
 * The routes of the metrics port: /metrics, /counters and /config; for sidecars also /samples and the inference
 * protocols, whose requests are not counted as traffic.
 *
 * Owns: these routes. The routes have their own port, so that a NetworkPolicy can treat them differently from user
 *       requests.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express } from 'express';
import { tokenHeader } from '../../../api/access.ts';
import { AppError } from '../../../api/errors.ts';
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

export function debugApp(deps: DebugDeps): Express {
  const app = express();
  const isSidecar = (request: IncomingMessage): boolean => deps.door.isOpenTo(request.headers[tokenHeader]);
  app.disable('x-powered-by');
  app.disable('etag');
  // In production mode Express leaves the stack trace out of error answers.
  app.set('env', 'production');
  app.get('/metrics', (request, response) => void deps.metrics(request, response));
  // A sidecar also sets the share of requests to sample; callers without the token can only read the counters.
  app.get('/counters', (request, response) => {
    const share = Number(request.query['sample'] ?? NaN);
    if (share >= 0 && share <= 1 && isSidecar(request)) deps.sampler.ask(Math.min(share, deps.door.sampleRate));
    response.json(deps.counters());
  });
  app.post('/samples', (request, response) => {
    if (!isSidecar(request)) {
      const error = new AppError('TOKEN_MISSING', { what: 'samples of live requests' });
      response.status(401).json({ error: error.message });
      return;
    }
    const max = Number(request.query['max'] ?? 1);
    response.type('application/octet-stream').send(printTaken(deps.sampler.take(max > 0 ? max : 1)));
  });
  app.get('/config', (_request, response) => {
    response.json(deps.config());
  });
  app.use((request, response, next) => {
    if (/^\/v[12](\/|$)/.test(request.path)) void deps.answerUncounted(request, response, isSidecar(request));
    else next();
  });
  app.use((request, response) => {
    response.status(404).json({
      error:
        `no such endpoint: ${request.method} ${request.path}; available: GET /metrics, GET /counters, GET /config, ` +
        'POST /samples',
    });
  });
  return app;
}
