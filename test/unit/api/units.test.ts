import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatBytes, formatDurationMs, parseDurationMs } from '../../../api/units.ts';

describe('parseDurationMs', () => {
  const rows: readonly { text: string; want: number | undefined }[] = [
    { text: '0ms', want: 0 },
    { text: '200ms', want: 200 },
    { text: '1.5s', want: 1500 },
    { text: '1h30m', want: 5_400_000 },
    { text: '2m500ms', want: 120_500 },
    { text: '', want: undefined },
    { text: '5', want: undefined },
    { text: '-1s', want: undefined },
    { text: '1 s', want: undefined },
    { text: '1s'.repeat(40), want: undefined },
  ];
  for (const { text, want } of rows)
    it(`reads ${JSON.stringify(text.slice(0, 12))} as ${want}`, () => assert.equal(parseDurationMs(text), want));

  it('reads back what formatDurationMs prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 9 }), (ms) =>
        assert.equal(parseDurationMs(formatDurationMs(ms)), ms),
      ),
    );
  });
});

describe('formatBytes', () => {
  const rows: readonly { bytes: number; want: string }[] = [
    { bytes: 0, want: '0' },
    { bytes: 1023, want: '1023' },
    { bytes: 2 ** 20, want: '1Mi' },
    { bytes: 1.5 * 2 ** 30, want: '1.5Gi' },
    { bytes: 300 * 2 ** 20 + 12345, want: '300Mi' },
  ];
  for (const { bytes, want } of rows) it(`prints ${bytes} as ${want}`, () => assert.equal(formatBytes(bytes), want));
});
