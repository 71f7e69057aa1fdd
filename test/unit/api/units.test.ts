import assert from 'node:assert/strict';
import fc from 'fast-check';
import { formatBytes, formatDurationMs, parseDurationMs, parseQuantity } from '../../../api/units.ts';

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
  for (const { text, want } of rows) it(`reads ${JSON.stringify(text.slice(0, 12))} as ${want}`, () => assert.equal(parseDurationMs(text), want));

  it('reads back what formatDurationMs prints', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 10 ** 9 }), (ms) => assert.equal(parseDurationMs(formatDurationMs(ms)), ms)));
  });
});

describe('parseQuantity', () => {
  const rows: readonly { text: string; want: number | undefined }[] = [
    { text: '2Gi', want: 2 ** 31 },
    { text: '500m', want: 0.5 },
    { text: '1', want: 1 },
    { text: '1.5', want: 1.5 },
    { text: '700m', want: 0.7 },
    { text: '1900m', want: 1.9 },
    { text: '2e3', want: 2000 },
    { text: '1k', want: 1000 },
    { text: '1K', want: undefined },
    { text: '-1', want: undefined },
    { text: 'Gi', want: undefined },
    { text: '1GiB', want: undefined },
  ];
  for (const { text, want } of rows) it(`reads ${text} as ${want}`, () => assert.equal(parseQuantity(text), want));
});

describe('parseQuantity, of CPU', () => {
  it('is the same in milli and in cores', () => {
    for (let milli = 0; milli < 20_000; milli += 1) assert.equal(parseQuantity(`${milli}m`), parseQuantity(String(milli / 1000)));
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
