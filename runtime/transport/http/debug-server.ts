/**
 * Metrics and insight, on a port of their own: /metrics, /counters, /config; and what sidecars do: /samples, and the
 * inference protocols for requests that are nobody's.
 *
 * Owns:  those routes. A scrape never stands in a queue with requests, and a NetworkPolicy can tell them apart.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Express } from 'express';
import { tokenHeader } from '../../../api/access.ts';
import { AppError } from '../../../api/errors.ts';
import { printTaken } from '../../sampling/sample.ts';
import type { Sampler } from '../../sampling/sampler.ts';
import type { Door } from '../../config/access-file.ts';

export type DebugViews = {
  readonly metrics: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** The report's fields, without its number. */
  readonly counters: () => unknown;
  /** The configuration in force. Holds no secrets. */
  readonly config: () => unknown;
  readonly sampler: Pick<Sampler, 'ask' | 'take'>;
  /**
   * Answers a request of a sidecar as one of a user's, only uncounted; one with `besideHeader` (call/beside.ts)
   * only beside users. Without the token it is a user's.
   */
  readonly answerUncounted: (request: IncomingMessage, response: ServerResponse, isSidecar: boolean) => Promise<void>;
  /** Who may turn sampling on, take samples and ask uncounted. */
  readonly door: Pick<Door, 'isOpenTo' | 'sampleRate'>;
};

export function debugApp(views: DebugViews): Express {
  const app = express();
  const isSidecar = (request: IncomingMessage): boolean => views.door.isOpenTo(request.headers[tokenHeader]);
  app.disable('x-powered-by');
  app.disable('etag');
  // A fault of ours is answered without its stack.
  app.set('env', 'production');
  app.get('/metrics', (request, response) => void views.metrics(request, response));
  // The sidecar also says which share of requests it wants to take samples of; others only read.
  app.get('/counters', (request, response) => {
    const share = Number(request.query['sample'] ?? NaN);
    if (share >= 0 && share <= 1 && isSidecar(request)) views.sampler.ask(Math.min(share, views.door.sampleRate));
    response.json(views.counters());
  });
  app.post('/samples', (request, response) => {
    if (!isSidecar(request)) {
      const error = new AppError('TOKEN_MISSING', { what: 'samples of live requests' });
      response.status(401).json({ error: error.message });
      return;
    }
    const max = Number(request.query['max'] ?? 1);
    response.type('application/octet-stream').send(printTaken(views.sampler.take(max > 0 ? max : 1)));
  });
  app.get('/config', (_request, response) => {
    response.json(views.config());
  });
  app.use((request, response, next) => {
    if (/^\/v[12](\/|$)/.test(request.path)) void views.answerUncounted(request, response, isSidecar(request));
    else next();
  });
  app.use((request, response) => {
    response.status(404).json({
      error: `no such endpoint: ${request.method} ${request.path}; there are /metrics, /counters, /config and /samples`,
    });
  });
  return app;
}
