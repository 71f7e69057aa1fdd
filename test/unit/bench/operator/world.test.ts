/** The end of the bench's parts. */
import assert from 'node:assert/strict';
import { endAll } from '../../../../bench/operator/world.ts';

describe('endAll', () => {
  it('ends every part in reverse order, also when a part throws or rejects', async () => {
    const ended: string[] = [];
    await endAll([
      () => void ended.push('first'),
      () => {
        throw new Error('cannot end');
      },
      () => void ended.push('second'),
      () => Promise.reject(new Error('cannot end')),
      async () => void ended.push('third'),
    ]);
    assert.deepEqual(ended, ['third', 'second', 'first']);
  });
});
