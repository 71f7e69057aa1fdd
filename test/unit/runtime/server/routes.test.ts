/** Paths and who answers them. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { findRoute, type ModelCall, type Route, type RouteTable } from '../../../../runtime/server/routes.ts';

const route = (name: string): Route => ({ name: 'other', needsRoom: false, handle: () => ({ status: 200, contentType: name, chunks: [], bytes: 0 }), errorBody: () => name });
const calls: readonly ModelCall[] = ['metadata', 'ready', 'infer', 'config', 'stats'];
const table: RouteTable = {
  served: { name: 'm', version: 'r1' },
  complete: true,
  exact: new Map([['GET /v2', route('v2')]]),
  model: Object.fromEntries(calls.map((call) => [call, route(call)])) as Record<ModelCall, Route>,
};
const nameOf = (method: string, path: string, among = table): unknown => {
  try {
    return findRoute(among, method, path).errorBody({ status: 0, code: 'INTERNAL', kind: 'bug', message: '' });
  } catch (error) {
    return error instanceof AppError ? error.code : error;
  }
};

const rows: readonly [string, string, string][] = [
  ['GET', '/v2', 'v2'], ['HEAD', '/v2', 'v2'], ['POST', '/v2', 'PATH_UNKNOWN'],
  ['GET', '/v2/models/m', 'metadata'], ['GET', '/v2/models/m/ready', 'ready'], ['POST', '/v2/models/m/infer', 'infer'], ['GET', '/v2/models/m/infer', 'PATH_UNKNOWN'],
  ['GET', '/v2/models/m/versions/r1', 'metadata'], ['POST', '/v2/models/m/versions/r1/infer', 'infer'], ['GET', '/v2/models/m/versions/r2', 'MODEL_UNKNOWN'],
  ['GET', '/v2/models/%6d/config', 'config'], ['GET', '/v2/models/%', 'MODEL_UNKNOWN'], ['GET', '/v2/models/x/ready', 'MODEL_UNKNOWN'],
  ['GET', '/v2/models/m/versions', 'PATH_UNKNOWN'], ['GET', '/v2/models/m/', 'PATH_UNKNOWN'], ['GET', '/v2/models', 'PATH_UNKNOWN'], ['GET', '/../etc', 'PATH_UNKNOWN'],
];

describe('findRoute', () => {
  for (const [method, path, want] of rows) it(`gives ${want} for ${method} ${path}`, () => assert.equal(nameOf(method, path), want));
  it('asks to come back for a path that may come once the model is loaded', () => assert.equal(nameOf('POST', '/v1/embeddings', { ...table, complete: false }), 'NOT_READY'));
});
