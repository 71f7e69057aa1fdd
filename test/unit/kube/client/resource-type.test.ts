/** Paths of resources, keys of objects, and the meaning of error answers. */
import assert from 'node:assert/strict';
import { kindOf } from '../../../../api/errors.ts';
import {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
  isTooLargeVersion,
  statusError,
  statusOf,
} from '../../../../kube/client/kube-error.ts';
import { microTime } from '../../../../kube/events/micro-time.ts';
import { keyOf, nameOf } from '../../../../api/kube-object.ts';
import { apiVersionOf, collectionPath, objectPath } from '../../../../kube/client/resource-type.ts';

const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true } as const;
const deployments = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
} as const;
const nodes = { group: '', version: 'v1', plural: 'nodes', kind: 'Node', namespaced: false } as const;

describe('paths', () => {
  // prettier-ignore
  const rows = [
    { name: 'a core collection of one namespace', got: collectionPath(pods, 'ml'), want: '/api/v1/namespaces/ml/pods' },
    { name: 'a core collection of every namespace', got: collectionPath(pods), want: '/api/v1/pods' },
    { name: 'a group collection', got: collectionPath(deployments,
        'ml'), want: '/apis/apps/v1/namespaces/ml/deployments' },
    { name: 'a cluster-scoped object', got: objectPath(nodes, { name: 'n1' }), want: '/api/v1/nodes/n1' },
    { name: 'a subresource', got: objectPath(deployments, { namespace: 'ml', name: 'x' },
        'status'), want: '/apis/apps/v1/namespaces/ml/deployments/x/status' },
    { name: 'a name that could climb out of its path', got: objectPath(pods, { namespace: 'a/b', name: '../x:Y' }),
      want: '/api/v1/namespaces/a%2Fb/pods/..%2Fx%3AY' },
    { name: 'an apiVersion of the core group', got: apiVersionOf(pods), want: 'v1' },
    { name: 'an apiVersion of a group', got: apiVersionOf(deployments), want: 'apps/v1' },
    { name: 'a micro time', got: microTime(Date.UTC(2026, 0, 2, 3, 4, 5, 60)), want: '2026-01-02T03:04:05.060000Z' },
  ];
  for (const row of rows) it(`spells ${row.name}`, () => assert.equal(row.got, row.want));

  it('reads a key back into the name it came from', () => {
    for (const name of [{ name: 'x' }, { namespace: 'ml', name: 'x' }]) assert.deepEqual(nameOf(keyOf(name)), name);
  });
});

describe('statusError', () => {
  const rows = [
    { status: 400, reason: 'BadRequest', kind: 'invalid', is: [isInvalid] },
    { status: 401, reason: 'Unauthorized', kind: 'transient', is: [] },
    { status: 403, reason: 'Forbidden', kind: 'transient', is: [isForbidden] },
    { status: 404, reason: 'NotFound', kind: 'missing', is: [isNotFound] },
    { status: 409, reason: 'Conflict', kind: 'conflict', is: [isConflict] },
    { status: 409, reason: 'AlreadyExists', kind: 'conflict', is: [isAlreadyExists] },
    { status: 410, reason: 'Expired', kind: 'transient', is: [isGone] },
    { status: 422, reason: 'Invalid', kind: 'invalid', is: [isInvalid] },
    { status: 429, reason: 'TooManyRequests', kind: 'overloaded', is: [] },
    { status: 500, reason: 'InternalError', kind: 'transient', is: [] },
    { status: 504, reason: 'Timeout', kind: 'transient', is: [] },
  ] as const;
  const questions = [isInvalid, isForbidden, isNotFound, isConflict, isAlreadyExists, isGone];
  for (const row of rows) {
    it(`takes ${row.status} ${row.reason} for ${row.kind}`, () => {
      const error = statusError({ status: row.status, reason: row.reason, message: 'm' });
      assert.equal(kindOf(error), row.kind);
      assert.deepEqual(
        questions.filter((ask) => ask(error)),
        row.is,
      );
    });
  }

  it('recognises a resourceVersion that is too large by its message', () => {
    assert.ok(
      isTooLargeVersion(
        statusError({ status: 504, reason: 'Timeout', message: 'Too large resource version: 9, current: 3' }),
      ),
    );
  });

  it('returns false for other errors', () => {
    for (const ask of questions) assert.equal(ask(new Error('x')), false);
    assert.equal(statusOf(undefined), undefined);
  });
});
