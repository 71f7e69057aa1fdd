/** Which requests may share a run. */
import assert from 'node:assert/strict';
import { groupOf } from '../../../../runtime/batching/group.ts';

describe('groupOf', () => {
  const same = { x: { type: 'float32', dims: [1, 4], data: new Float32Array(4) } } as const;
  it('ignores the first dimension', () =>
    assert.equal(
      groupOf({ inputs: same, outputs: ['y'] }),
      groupOf({ inputs: { x: { ...same.x, dims: [7, 4] } }, outputs: ['y'] }),
    ));
  it('distinguishes types', () =>
    assert.notEqual(
      groupOf({ inputs: same, outputs: ['y'] }),
      groupOf({ inputs: { x: { type: 'int32', dims: [1, 4], data: new Int32Array(4) } }, outputs: ['y'] }),
    ));
  it('distinguishes requested outputs', () =>
    assert.notEqual(groupOf({ inputs: same, outputs: ['y'] }), groupOf({ inputs: same, outputs: ['y', 'z'] })));
});
