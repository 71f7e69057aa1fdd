import assert from 'node:assert/strict';
import { backendsOf, tryOrder } from '../../../../local/router/backends.ts';
import type { Endpoint, EndpointSlice } from '../../../../local/workloads/resources.ts';

const ready = (address: string): Endpoint => ({
  addresses: [address],
  conditions: { ready: true, serving: true, terminating: false },
});
const unready = (address: string): Endpoint => ({
  addresses: [address],
  conditions: { ready: false, serving: false, terminating: false },
});
const leaving = (address: string, serving = true): Endpoint => ({
  addresses: [address],
  conditions: { ready: false, serving, terminating: true },
});
const slice = (endpoints: readonly Endpoint[], port = 8080, name?: string): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 's', uid: 's', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  addressType: 'IPv4',
  endpoints,
  ports: [{ port, protocol: 'TCP', ...(name === undefined ? {} : { name }) }],
});

describe('backendsOf', () => {
  // prettier-ignore
  const rows: readonly { name: string; slices: readonly EndpointSlice[]; want: readonly string[] }[] = [
    { name: 'uses ready endpoints', slices: [slice([ready('a'), unready('b')])], want: ['a:8080'] },
    { name: 'uses the endpoints of all slices, each on its own port',
      slices: [slice([ready('a')]), slice([ready('b')], 9090)], want: ['a:8080', 'b:9090'] },
    { name: 'never uses a terminating endpoint while another is ready',
      slices: [slice([leaving('a'), ready('b')])], want: ['b:8080'] },
    { name: 'uses terminating endpoints when there are no others',
      slices: [slice([leaving('a'), unready('b')])], want: ['a:8080'] },
    { name: 'does not use a terminating endpoint that no longer serves',
      slices: [slice([leaving('a', false)])], want: [] },
    { name: 'uses an endpoint without a ready condition',
      slices: [slice([{ addresses: ['a'], conditions: {} }])], want: ['a:8080'] },
    { name: 'leaves out slices without the port', slices: [slice([ready('a')], 8080, 'other')], want: [] },
  ];
  for (const { name, slices, want } of rows)
    it(name, () =>
      assert.deepEqual(
        backendsOf({ port: 80 }, slices).map(({ host, port }) => `${host}:${port}`),
        want,
      ),
    );
});

describe('tryOrder', () => {
  const backends = ['a', 'b', 'c'].map((host) => ({ host, port: 1 }));
  const order = (random: number): string =>
    tryOrder(backends, random)
      .map(({ host }) => host)
      .join('');
  it('begins at random and continues round robin', () =>
    assert.deepEqual([0, 0.34, 0.99].map(order), ['abc', 'bca', 'cab']));
  it('is empty without backends', () => assert.deepEqual(tryOrder([], 0.5), []));
});
