/**
 * What a cluster asks of a controller over HTTP: is it alive, is it ready, how is it doing.
 *
 * Owns:  /healthz, /livez, /readyz and /metrics. Each check has a name and says what is wrong in one sentence;
 *        the answer lists them all, so that a person with curl needs no log.
 */
import express, { type Express, type Response } from 'express';
import { expose, type Registry } from '../../lib/metrics.ts';
import { messageOf } from '../../api/errors.ts';

/** @returns undefined when all is well, otherwise what is not */
export type Check = () => string | undefined;

export type HealthOptions = {
  readonly registry: Registry;
  /** When one fails the process should be restarted. */
  readonly live: Readonly<Record<string, Check>>;
  /** When one fails the process is not to be counted on yet. */
  readonly ready: Readonly<Record<string, Check>>;
};

/** The part of a reflector that health depends on. */
export type Watched = { readonly synced: boolean; readonly silentMs: number };

export function healthApp({ registry, live, ready }: HealthOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // A fault of ours is answered without its stack.
  app.set('env', 'production');
  app.get(['/healthz', '/livez'], (_, response) => answer(response, live));
  app.get('/readyz', (_, response) => answer(response, { ...live, ...ready }));
  app.get('/metrics', async (_, response) => {
    const { contentType, body } = await expose(registry);
    response.set('content-type', contentType).send(body);
  });
  app.use((_, response) => {
    response.status(404).type('text/plain').send('not found: /healthz, /livez, /readyz and /metrics are\n');
  });
  return app;
}

/** Ready once every cache holds what was there at the start. */
export function cachesSynced(caches: Readonly<Record<string, Watched>>): Check {
  return () => {
    const waiting = Object.entries(caches)
      .filter(([, cache]) => !cache.synced)
      .map(([name]) => name);
    return waiting.length === 0 ? undefined : `waiting for ${waiting.join(', ')}`;
  };
}

/** A cache whose server said nothing for this long is stuck: reconnecting failed again and again, or our loop died. */
export function cachesHeard(caches: Readonly<Record<string, Watched>>, maxSilentMs = 600_000): Check {
  return () => {
    const silent = Object.entries(caches)
      .filter(([, cache]) => cache.silentMs > maxSilentMs)
      .map(([name]) => name);
    return silent.length === 0
      ? undefined
      : `nothing heard of ${silent.join(', ')} for ${Math.round(maxSilentMs / 1000)} s`;
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
