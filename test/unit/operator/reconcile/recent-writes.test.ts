/** The operator's own last writes are remembered until the caches show them. */
import assert from 'node:assert/strict';
import type { KubeObject } from '../../../../api/kube-object.ts';
import { RecentWrites } from '../../../../operator/reconcile/recent-writes.ts';

const object = (resourceVersion: string, uid = 'u'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 's', uid, resourceVersion },
});
const id = 'Service/s';

describe('RecentWrites', () => {
  const rows: readonly {
    readonly name: string;
    readonly cached: KubeObject | undefined;
    readonly nowMs: number;
    readonly believes: 'answer' | 'cache';
  }[] = [
    {
      name: 'prefer the answer while the cache does not have the object',
      cached: undefined,
      nowMs: 1000,
      believes: 'answer',
    },
    {
      name: 'prefer the answer while the cache has an older version',
      cached: object('9'),
      nowMs: 1000,
      believes: 'answer',
    },
    { name: 'compare versions as numbers', cached: object('9'), nowMs: 0, believes: 'answer' },
    { name: 'prefer a cache with the same version', cached: object('10'), nowMs: 1000, believes: 'cache' },
    { name: 'prefer a cache with a newer version', cached: object('11'), nowMs: 1000, believes: 'cache' },
    {
      name: 'prefer a cache with another object of the same name',
      cached: object('9', 'other'),
      nowMs: 1000,
      believes: 'cache',
    },
    { name: 'prefer the answer for five seconds', cached: undefined, nowMs: 4999, believes: 'answer' },
    {
      name: 'prefer the cache after that, so that a deleted object is recreated',
      cached: undefined,
      nowMs: 5000,
      believes: 'cache',
    },
  ];
  for (const { name, cached, nowMs, believes } of rows) {
    it(name, () => {
      const recent = new RecentWrites();
      const answer = object('10');
      recent.remember(id, answer, 0);
      assert.equal(recent.newest(id, cached, nowMs), believes === 'answer' ? answer : cached);
    });
  }

  it('are stored as the caches store objects', () => {
    const recent = new RecentWrites((answer) => ({ ...answer, kind: 'Kept' }));
    recent.remember(id, object('10'), 0);
    recent.noteApplied(id, { hash: 'hash', shape: 'shape' }, object('10'), false);
    assert.equal(recent.newest(id, undefined, 0)?.kind, 'Kept');
    assert.equal(recent.converged(id, 'hash', object('10'))?.answer?.kind, 'Kept');
  });

  it('are pending until a cache shows them or five seconds have passed', () => {
    const recent = new RecentWrites();
    recent.remember(id, object('10'), 0);
    assert.equal(recent.isPending(4999), true);
    assert.equal(recent.isPending(5000), false);
  });
});

describe('a refused write', () => {
  it('is retried after 5 s, then 10 s, up to 5 min; another manifest or object is tried at once', () => {
    const recent = new RecentWrites();
    recent.noteRefused(id, 'hash 1', new Error('no'), 0);
    assert.ok(recent.refusal(id, 'hash 1', 4999));
    assert.equal(recent.refusal(id, 'hash 1', 5000), undefined);
    assert.equal(recent.refusal(id, 'hash 2', 0), undefined);
    assert.equal(recent.noteRefused(id, 'hash 1', new Error('no'), 5000).untilMs, 15_000);
    for (let times = 0; times < 10; times += 1) recent.noteRefused(id, 'hash 1', new Error('no'), 0);
    assert.equal(recent.noteRefused(id, 'hash 1', new Error('no'), 0).untilMs, 300_000);
  });

  it('is forgotten with the object that nothing wants any more', () => {
    const recent = new RecentWrites();
    recent.noteRefused(id, 'hash 1', new Error('no'), 0);
    recent.keepRefusals(new Set([id]));
    assert.ok(recent.refusal(id, 'hash 1', 0));
    recent.keepRefusals(new Set());
    assert.equal(recent.refusal(id, 'hash 1', 0), undefined);
  });
});
