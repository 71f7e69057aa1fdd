/** A server whose model, or whose number of workers, cannot fit is refused with a memory limit that would do. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import type { Prepared } from '../../../../runtime/prepare/prepared.ts';
import { checkLoad } from '../../../../runtime/serve/memory-check.ts';

const mib = 2 ** 20;
/** Loading takes 120 MiB, and a loaded session 55 MiB. */
const prepared = {
  graphPath: 'model.onnx',
  info: { weightsBytes: 0 },
  resolved: { memoryEstimateBytes: 120 * mib },
  allocation: { measured: [{ loadedBytes: 100 * mib }] },
} as unknown as Prepared;
const { allocation: _allocation, ...older } = prepared;

describe('checkLoad', () => {
  // prettier-ignore
  const rows = [
    { name: 'accepts one worker that fits', limit: 256, workers: 1, says: undefined },
    { name: 'refuses one worker that does not fit', limit: 160, workers: 1,
      says: /^model\.onnx needs about .* is 160Mi/ },
    { name: 'refuses more workers than fit, and names a sufficient limit', limit: 256, workers: 4,
      says: /^model\.onnx with 4 workers needs about 426Mi of memory, the limit is 256Mi: raise spec\.memory\.limit$/ },
    { name: 'accepts them with that limit', limit: 426, workers: 4, says: undefined },
    { name: 'accepts any number without a limit', limit: undefined, workers: 64, says: undefined },
    { name: 'does not count workers that an older prepare did not measure', limit: 256, workers: 4, says: undefined,
      prepared: older },
  ];
  for (const { name, limit, workers, says, ...given } of rows)
    it(name, () => {
      const check = (): void =>
        checkLoad(
          (given.prepared ?? prepared) as Prepared,
          limit === undefined ? undefined : limit * mib,
          50 * mib,
          workers,
        );
      if (says === undefined) check();
      else assert.throws(check, (error: unknown) => error instanceof AppError && says.test(error.message));
    });
});
