/**
 * Metrics and insight, on a port of their own: /metrics, /counters, /config.
 *
 * Owns:  those three routes. A scrape never stands in a queue with requests, and a NetworkPolicy can tell them apart.
 */
import express, { type Express } from 'express';
import type { Registry } from 'prom-client';

export type DebugViews = {
  readonly metrics: Registry;
  /** The report's fields, without its number. */
  readonly counters: () => unknown;
  /** The configuration in force. Holds no secrets. */
  readonly config: () => unknown;
};

export function debugApp(views: DebugViews): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.get('/metrics', async (_request, response) => {
    response.type(views.metrics.contentType).send(await views.metrics.metrics());
  });
  app.get('/counters', (_request, response) => { response.json(views.counters()); });
  app.get('/config', (_request, response) => { response.json(views.config()); });
  app.use((request, response) => { response.status(404).json({ error: `no such endpoint: ${request.method} ${request.path}; there are /metrics, /counters and /config` }); });
  return app;
}
