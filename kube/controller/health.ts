/**
 * The HTTP endpoints of a controller: liveness, readiness and metrics.
 * Owns: /healthz, /livez, /readyz and /metrics. Each check has a name and describes its problem in one sentence. The
 * answer lists all checks, so that a user can see the problem with curl.
 */
import express, { type Express, type Response } from 'express';
import { expose, type Registry } from '../../lib/metrics.ts';
import { messageOf } from '../../api/errors.ts';

/** @returns undefined when the check passes, otherwise the problem */
export type Check = () => string | undefined;

export type HealthDeps = {
  readonly registry: Registry;
  /** When one of these checks fails, the process must be restarted. */
  readonly live: Readonly<Record<string, Check>>;
  /** When one of these checks fails, the process is not ready. */
  readonly ready: Readonly<Record<string, Check>>;
};

/** The part of a reflector that the health checks use. */
export type Watched = { readonly synced: boolean; readonly silentMs: number };

export function healthApp({ registry, live, ready }: HealthDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // In production mode, express answers an error without its stack.
  app.set('env', 'production');
  app.get(['/healthz', '/livez'], (_, response) => answer(response, live));
  app.get('/readyz', (_, response) => answer(response, { ...live, ...ready }));
  app.get('/metrics', async (_, response) => {
    const { contentType, body } = await expose(registry);
    response.set('content-type', contentType).send(body);
  });
  app.use((_, response) => {
    response.status(404).type('text/plain').send('not found; the paths are /healthz, /livez, /readyz and /metrics\n');
  });
  return app;
}

/** Passes once every cache holds the objects that existed at the start. */
export function cachesSynced(caches: Readonly<Record<string, Watched>>): Check {
  return () => {
    const waiting = Object.entries(caches)
      .filter(([, cache]) => !cache.synced)
      .map(([name]) => name);
    return waiting.length === 0 ? undefined : `waiting for ${waiting.join(', ')}`;
  };
}

/**
 * Fails when a cache has received nothing for `maxSilentMs`: its watch could not reconnect, or its loop has stopped.
 */
export function cachesHeard(caches: Readonly<Record<string, Watched>>, maxSilentMs = 600_000): Check {
  return () => {
    const silent = Object.entries(caches)
      .filter(([, cache]) => cache.silentMs > maxSilentMs)
      .map(([name]) => name);
    return silent.length === 0
      ? undefined
      : `no watch event for ${silent.join(', ')} in ${Math.round(maxSilentMs / 1000)} s`;
  };
}

function answer(response: Response, checks: Readonly<Record<string, Check>>): void {
  const lines: string[] = [];
  let healthy = true;
  for (const [name, check] of Object.entries(checks)) {
    const problem = verdictOf(check);
    healthy &&= problem === undefined;
    lines.push(problem === undefined ? `[+] ${name} ok` : `[-] ${name}: ${problem}`);
  }
  response
    .status(healthy ? 200 : 503)
    .type('text/plain')
    .send(`${[...lines, healthy ? 'ok' : 'not ok'].join('\n')}\n`);
}

function verdictOf(check: Check): string | undefined {
  try {
    return check();
  } catch (error) {
    return messageOf(error);
  }
}
