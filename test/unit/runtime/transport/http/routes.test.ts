/** The handler of each HTTP path, and the errors of unknown paths. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../../api/errors.ts';
import type { Handler } from '../../../../../runtime/call/handler.ts';
import {
  errorBodyAt,
  findRoute,
  type ModelCall,
  type RouteTable,
} from '../../../../../runtime/transport/http/routes.ts';

const route = (name: string): Handler => ({
  name: 'other',
  needsRoom: false,
  handle: () => ({ status: 200, contentType: name, body: { chunks: [], bytes: 0 } }),
  errorBody: () => name,
});
const calls: readonly ModelCall[] = ['metadata', 'ready', 'infer', 'config', 'stats'];
const table: RouteTable = {
  served: { name: 'm', version: 'r1' },
  complete: true,
  exact: new Map([
    ['GET /v2', route('v2')],
    ['GET /v1/models', route('models')],
    ['GET /v1/models/m', route('model')],
  ]),
  model: Object.fromEntries(calls.map((call) => [call, route(call)])) as Record<ModelCall, Handler>,
};
const nameOf = (method: string, path: string, among = table): unknown => {
  try {
    return findRoute(among, method, path).errorBody({ status: 0, code: 'INTERNAL', kind: 'bug', message: '' });
  } catch (error) {
    return error instanceof AppError ? error.code : error;
  }
};

const rows: readonly [string, string, string][] = [
  ['GET', '/v2', 'v2'],
  ['HEAD', '/v2', 'v2'],
  ['POST', '/v2', 'METHOD_UNKNOWN'],
  ['GET', '/v2/', 'v2'],
  ['GET', '/v2//', 'v2'],
  ['GET', '/v2/models/m', 'metadata'],
  ['GET', '/v2/models/m/ready', 'ready'],
  ['POST', '/v2/models/m/infer', 'infer'],
  ['GET', '/v2/models/m/infer', 'METHOD_UNKNOWN'],
  ['POST', '/v2/models/m/infer/', 'infer'],
  ['GET', '/v2/models/m/versions/r1', 'metadata'],
  ['POST', '/v2/models/m/versions/r1/infer', 'infer'],
  ['GET', '/v2/models/m/versions/r2', 'MODEL_UNKNOWN'],
  ['GET', '/v2/models/%6d/config', 'config'],
  ['GET', '/v2/models/%', 'MODEL_UNKNOWN'],
  ['GET', '/v2/models/x/ready', 'MODEL_UNKNOWN'],
  ['GET', '/v2/models/m/versions', 'PATH_UNKNOWN'],
  ['GET', '/v2/models/m/', 'metadata'],
  ['GET', '/v2/models', 'PATH_UNKNOWN'],
  ['GET', '/../etc', 'PATH_UNKNOWN'],
  ['GET', '//', 'PATH_UNKNOWN'],
  ['GET', '/v1/models', 'models'],
  ['GET', '/v1/models/', 'models'],
  ['GET', '/v1/models/m', 'model'],
  ['HEAD', '/v1/models/%6d/', 'model'],
  ['GET', '/v1/models/org/x', 'MODEL_UNKNOWN'],
  ['POST', '/v1/models', 'METHOD_UNKNOWN'],
  ['DELETE', '/v1/models/m', 'METHOD_UNKNOWN'],
  ['POST', '/v1/embeddings', 'TASK_MISSING'],
  ['POST', '/v1/embeddings/', 'TASK_MISSING'],
  ['POST', '/v1/chat/completions', 'PATH_UNKNOWN'],
];

describe('findRoute', () => {
  for (const [method, path, want] of rows)
    it(`gives ${want} for ${method} ${path}`, () => assert.equal(nameOf(method, path), want));
  it('answers NOT_READY while the model loads, for a path that the task may add', () =>
    assert.equal(nameOf('POST', '/v1/embeddings', { ...table, complete: false }), 'NOT_READY'));

  it('names the field of the spec that enables the task of a path', () => {
    assert.throws(() => findRoute(table, 'POST', '/v1/embeddings'), {
      message: /^\/v1\/embeddings needs task Embedding, which model 'm' does not have: set spec\.model\.task: Emb/,
    });
  });
  it('names the methods that a path allows', () =>
    assert.throws(() => findRoute(table, 'PUT', '/v2/models/m/infer'), {
      message: '/v2/models/m/infer does not support PUT: use POST',
    }));
});

describe('errorBodyAt', () => {
  const error = { status: 404, code: 'PATH_UNKNOWN', kind: 'missing', message: 'nothing there' } as const;
  it('uses the format of OpenAI below /v1', () =>
    assert.deepEqual(errorBodyAt('/v1/chat')(error), {
      error: { message: 'nothing there', type: 'invalid_request_error', param: null, code: 'path_unknown' },
    }));
  it('uses the format of the Open Inference Protocol elsewhere', () =>
    assert.deepEqual(errorBodyAt('/v11')(error), { error: 'nothing there' }));
});
