/**
 * A task's routes as the server's: body, deadline and trace go in, the reply comes out.
 */
import type { TaskCall } from '../../call/call.ts';
import type { TaskRoute } from '../../tasks/task.ts';
import type { Answer } from '../../call/answer.ts';
import type { Exchange, Route } from './routes.ts';

/** @returns entries of the table of exact paths */
export function taskRoutes(routes: readonly TaskRoute[]): readonly (readonly [string, Route])[] {
  return routes.map((route) => [
    `${route.method} ${route.path}`,
    {
      name: 'task',
      needsRoom: true,
      handle: (exchange) => answer(route, exchange),
      errorBody: (error) => route.errorBody(error),
    },
  ]);
}

async function answer(route: TaskRoute, exchange: Exchange): Promise<Answer> {
  const { headers, signal, trace, deadlineMs } = exchange;
  const call: TaskCall = {
    headers,
    signal,
    trace,
    body: route.method === 'GET' ? new Uint8Array(0) : await exchange.readBody(0),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  };
  const { status = 200, contentType, body, headers: more = {} } = await route.handle(call);
  return {
    status,
    contentType,
    chunks: [body],
    bytes: typeof body === 'string' ? Buffer.byteLength(body) : body.length,
    headers: more,
  };
}
