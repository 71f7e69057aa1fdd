/** Converts a task's route to a handler, which passes the call to the route and returns the route's reply. */
import { wholeBody, type Answer } from '../call/answer.ts';
import type { TaskCall } from '../call/call.ts';
import type { Call, Handler } from '../call/handler.ts';
import type { TaskRoute } from './task.ts';

export function taskHandler(route: TaskRoute): Handler {
  return {
    name: 'task',
    needsRoom: true,
    handle: (call) => answer(route, call),
    errorBody: (error) => route.errorBody(error),
  };
}

async function answer(route: TaskRoute, call: Call): Promise<Answer> {
  const { headers, signal, tier, client, trace, deadlineMs } = call;
  const asked: TaskCall = {
    headers,
    signal,
    tier,
    client,
    trace,
    body: route.method === 'GET' ? new Uint8Array(0) : await call.readBody(0),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  };
  const { status = 200, contentType, body, headers: more = {} } = await route.handle(asked);
  return {
    status,
    contentType,
    body: typeof body === 'string' || body instanceof Uint8Array ? wholeBody(body) : body,
    headers: more,
  };
}
