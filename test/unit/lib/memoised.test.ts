import assert from 'node:assert/strict';
import { memoised } from '../../../lib/memoised.ts';

describe('a memoised function', () => {
  const asked: string[] = [];
  const nameOf = memoised(({ name }: { readonly name: string | undefined }) => {
    asked.push(name ?? '');
    return name;
  });

  it('is computed once for each object, also where it gives undefined', () => {
    const [one, none] = [{ name: 'a' }, { name: undefined }];
    assert.deepEqual([nameOf(one), nameOf(one), nameOf(none), nameOf(none)], ['a', 'a', undefined, undefined]);
    assert.deepEqual(asked, ['a', '']);
  });

  it('is computed again for an equal object, which may have changed since', () => {
    asked.length = 0;
    assert.deepEqual([nameOf({ name: 'a' }), nameOf({ name: 'a' })], ['a', 'a']);
    assert.deepEqual(asked, ['a', 'a']);
  });
});
