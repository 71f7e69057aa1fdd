/** How the operator's bench names and sums the requests that it counts. */
import assert from 'node:assert/strict';
import {
  countOf,
  isCounted,
  isWriting,
  requestName,
  sentBetween,
  type SentRequest,
} from '../../../../bench/operator/requests.ts';

describe('requestName', () => {
  const apps = '/apis/apps/v1/namespaces/bench';
  const apply = 'application/apply-patch+yaml';
  // prettier-ignore
  const cases: readonly { readonly name: string; readonly request: SentRequest; readonly expected: string }[] = [
    { name: 'reads one object', request: { method: 'GET', url: `${apps}/deployments/a` }, expected: 'get deployments' },
    { name: 'lists one namespace', request: { method: 'GET', url: `${apps}/deployments?limit=500` },
      expected: 'list deployments' },
    { name: 'lists all namespaces', request: { method: 'GET', url: '/api/v1/pods' }, expected: 'list pods' },
    { name: 'watches', request: { method: 'GET', url: '/api/v1/pods?watch=true&timeoutSeconds=5' },
      expected: 'watch pods' },
    { name: 'watches as client-go does', request: { method: 'GET', url: '/api/v1/pods?watch=1' },
      expected: 'watch pods' },
    { name: 'does not take watch=false for a watch', request: { method: 'GET', url: '/api/v1/pods?watch=false' },
      expected: 'list pods' },
    { name: 'creates', request: { method: 'POST', url: '/api/v1/namespaces/bench/configmaps?fieldManager=x' },
      expected: 'create configmaps' },
    { name: 'replaces a status', request: { method: 'PUT', url: '/apis/x.dev/v1/namespaces/bench/models/a/status' },
      expected: 'update models/status' },
    { name: 'applies', request: { method: 'PATCH', url: `${apps}/deployments/a`, contentType: apply },
      expected: 'apply deployments' },
    { name: 'patches', request: { method: 'PATCH', url: `${apps}/deployments/a`,
      contentType: 'application/merge-patch+json' }, expected: 'patch deployments' },
    { name: 'deletes one object', request: { method: 'DELETE', url: `${apps}/deployments/a` },
      expected: 'delete deployments' },
    { name: 'deletes a collection', request: { method: 'DELETE', url: `${apps}/deployments` },
      expected: 'deletecollection deployments' },
    { name: 'reads a namespace itself', request: { method: 'GET', url: '/api/v1/namespaces/bench' },
      expected: 'get namespaces' },
    { name: 'lists namespaces', request: { method: 'GET', url: '/api/v1/namespaces' }, expected: 'list namespaces' },
    { name: 'reads a cluster-scoped object', request: { method: 'GET', url: '/apis/x.dev/v1/things/a' },
      expected: 'get things' },
    { name: 'keeps a path without a resource', request: { method: 'GET', url: '/version?timeout=32s' },
      expected: 'list /version' },
    { name: 'keeps the path of discovery', request: { method: 'GET', url: '/apis/apps/v1' },
      expected: 'list /apis/apps/v1' },
  ];
  for (const { name, request, expected } of cases) it(name, () => assert.equal(requestName(request), expected));
});

describe('sums of requests', () => {
  const counts = { 'create pods': 2, 'watch pods': 3, 'get pods': 5, 'apply services': 7, 'update x/status': 11 };

  it('writes are all that changes objects', () => assert.equal(countOf(counts, isWriting), 20));

  it('watches are not counted', () => assert.equal(countOf(counts, isCounted), 25));

  it('what was sent between two moments is sorted by number and leaves out zeros', () =>
    assert.deepEqual(Object.entries(sentBetween({ a: 1, b: 2 }, { a: 1, b: 3, c: 4 })), [
      ['c', 4],
      ['b', 1],
    ]));
});
