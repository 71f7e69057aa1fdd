/** The warnings (notes) of a loaded model: the memory that its longest text needs, and the memory that is available. */
import assert from 'node:assert/strict';
import { runRoom } from '../../../../runtime/batching/room.ts';
import { LoadedModel } from '../../../../runtime/serve/loaded-model.ts';

/** The notes of a model with two inputs. A run takes 1 KiB for each element, and 1 MiB is available for runs. */
function notesOf(maxTokens: number | undefined): readonly string[] {
  const room = runRoom({ bytesOf: (rows, elements) => rows * elements * 1024, points: [] }, 2 ** 20, 1);
  const model = { maxTokens, signature: { inputs: ['ids', 'mask'] }, batcher: { room } };
  return Reflect.get(LoadedModel.prototype, 'notes', model) as readonly string[];
}

describe('notes of a loaded model', () => {
  it('names the memory that the longest text needs, when less is available', () => {
    assert.deepEqual(notesOf(1024), [
      'a text of 1024 tokens (maxTokens) needs about 2Mi of memory for a run; 1Mi is available: long texts are ' +
        'refused; raise spec.memory.limit or lower spec.model.embedding.maxTokens',
    ]);
  });

  for (const maxTokens of [undefined, 512])
    it(`has no notes when the limit of a text is ${maxTokens ?? 'absent'}`, () =>
      assert.deepEqual(notesOf(maxTokens), []));
});
