import assert from 'node:assert/strict';
import { SharedParts } from '../../../../kube/cache/shared-parts.ts';

const probe = (path: string): object => ({ httpGet: { path, port: 8080 } });

describe('shared parts of objects', () => {
  it('are one object where they are equal', () => {
    const parts = new SharedParts();
    assert.equal(parts.share(probe('/ready')), parts.share(probe('/ready')));
  });

  it('stay two objects where they differ', () => {
    const parts = new SharedParts();
    assert.deepEqual(parts.share(probe('/ready')), probe('/ready'));
    assert.deepEqual(parts.share(probe('/live')), probe('/live'));
  });

  it('are found field by field', () => {
    const parts = new SharedParts();
    const [one, other] = ['a', 'b'].map((name) => parts.shareFields({ name, probe: probe('/ready') }));
    assert.deepEqual(one, { name: 'a', probe: probe('/ready') });
    assert.deepEqual(other, { name: 'b', probe: probe('/ready') });
    assert.equal(one?.probe, other?.probe);
  });

  it('are forgotten when their texts take more than 2 MiB', () => {
    const parts = new SharedParts();
    const first = probe('/ready');
    parts.share(first);
    for (let i = 0; i < 600; i += 1) parts.share({ text: `${i}${'x'.repeat(4000)}` });
    assert.notEqual(parts.share(probe('/ready')), first);
  });

  it('are not searched among long ones', () => {
    const parts = new SharedParts();
    const long = (): object => ({ text: 'x'.repeat(5000) });
    const first = long();
    assert.equal(parts.share(first), first);
    assert.notEqual(parts.share(long()), first);
  });

  it('are forgotten when there are too many, and found again afterwards', () => {
    const parts = new SharedParts();
    const first = parts.share(probe('/ready'));
    for (let i = 0; i < 4096; i += 1) parts.share(probe(`/${i}`));
    const second = parts.share(probe('/ready'));
    assert.notEqual(second, first);
    assert.equal(parts.share(probe('/ready')), second);
  });
});
