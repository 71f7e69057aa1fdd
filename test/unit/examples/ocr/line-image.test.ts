import assert from 'node:assert/strict';
import { PNG } from 'pngjs';
import { lineTensor } from '../../../../examples/ocr/line-image.ts';

type Rgba = readonly [number, number, number, number];

function picture(width: number, height: number, colourOf: (x: number, y: number) => Rgba): Buffer {
  const png = new PNG({ width, height });
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) png.data.set(colourOf(x, y), (y * width + x) * 4);
  return PNG.sync.write(png);
}

const plane = 48 * 96;

describe('lineTensor', () => {
  it('scales to height 48, keeping proportions', () => {
    assert.deepEqual(lineTensor(picture(20, 10, () => [255, 255, 255, 255])).shape, [1, 3, 48, 96]);
    // At height 48 the width is 50, which is rounded up to 56, a multiple of 8.
    assert.deepEqual(lineTensor(picture(100, 96, () => [255, 255, 255, 255])).shape, [1, 3, 48, 56]);
  });

  it('lays planes out as blue, green, red from -1 to 1', () => {
    const { data } = lineTensor(picture(96, 48, () => [255, 51, 0, 255]));
    assert.deepEqual([data[0], data[plane], data[2 * plane]], [-1, Math.fround(51 / 127.5 - 1), 1]);
  });

  it('treats transparent pixels as white', () => {
    assert.equal(lineTensor(picture(96, 48, () => [0, 0, 0, 0])).data[0], 1);
  });

  it('interpolates between pixels when it scales', () => {
    // Black left of white: the middle of the scaled picture is grey.
    const { data } = lineTensor(picture(2, 1, (x) => [x * 255, x * 255, x * 255, 255]));
    assert.equal(data[0], -1);
    assert.equal(data[95], 1);
    const middle = data[48] ?? 0;
    assert.ok(middle > -0.1 && middle < 0.1, String(middle));
  });

  it('refuses a picture that is too wide for one line', () => {
    assert.throws(() => lineTensor(picture(200, 2, () => [0, 0, 0, 255])), /200 x 2: too wide/);
  });
});
