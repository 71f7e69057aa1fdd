import assert from 'node:assert/strict';
import { drawBackend, matchRequest, type RouteEntry, type WeightedBackend } from '../../../../local/gateway/match.ts';

const entry = (
  order: string,
  hostnames: readonly string[] | undefined,
  path = '/',
  type: 'Exact' | 'PathPrefix' = 'PathPrefix',
): RouteEntry => ({ hostnames, paths: [{ type, value: path }], backends: [], order });

describe('matchRequest takes', () => {
  const all = [
    entry('1 any', undefined),
    entry('2 wild', ['*.example.com']),
    entry('3 exact', ['a.example.com']),
    entry('4 deep', ['a.example.com'], '/v2'),
    entry('5 deeper', ['a.example.com'], '/v2/models/'),
    entry('6 just', ['a.example.com'], '/v2/models', 'Exact'),
    entry('7 late twin', ['a.example.com'], '/v2'),
  ];
  const rows: readonly [name: string, host: string, path: string, want: string | undefined][] = [
    ['every host when nothing more exact matches', 'other.org', '/', '1 any'],
    ['prefers a wildcard to every host', 'b.example.com', '/x', '2 wild'],
    ['a wildcard over several labels', 'c.b.example.com', '/', '2 wild'],
    ['a wildcard does not match its bare domain', 'example.com', '/', '1 any'],
    ['the exact host before a wildcard, ignoring case', 'A.Example.com', '/', '3 exact'],
    ['the longer path, and of equal ones the older route', 'a.example.com', '/v2/x', '4 deep'],
    ['a prefix that ends in a slash like one that does not', 'a.example.com', '/v2/models/m', '5 deeper'],
    ['an exact path before a prefix', 'a.example.com', '/v2/models', '6 just'],
    ['a prefix does not match in the middle of a name', 'a.example.com', '/v2x', '3 exact'],
  ];
  for (const [name, host, path, want] of rows) it(name, () => assert.equal(matchRequest(all, host, path)?.order, want));
  it('nothing when no host matches', () => assert.equal(matchRequest(all.slice(1), 'other.org', '/'), undefined));
});

describe('drawBackend', () => {
  const of = (...weights: readonly number[]): readonly WeightedBackend[] =>
    weights.map((weight, index) => ({ namespace: 'ml', name: `s${index}`, port: 80, weight, usable: true }));
  const shares = (backends: readonly WeightedBackend[]): readonly number[] => {
    const drawn = Array.from({ length: 1000 }, (_, index) => drawBackend(backends, (index + 0.5) / 1000)?.name);
    return backends.map(({ name }) => drawn.filter((one) => one === name).length);
  };
  it('gives each backend its exact share', () => assert.deepEqual(shares(of(95, 5)), [950, 50]));
  it('gives nothing to weight 0, at any position', () =>
    assert.deepEqual(shares(of(0, 3, 0, 1, 0)), [0, 750, 0, 250, 0]));
  it('chooses no backend when all weights are 0', () => assert.equal(drawBackend(of(0, 0), 0.5), undefined));
  it('chooses nothing without backends', () => assert.equal(drawBackend([], 0.5), undefined));
});
