/**
 * Converts a picture of one line of text to the input of PP-OCR's text recognition model.
 * Owns: the preprocessing. The picture is scaled to a height of 48; its width stays in proportion and is a multiple of
 * 8. The planes are blue, green and red in this order, and values go from -1 (black) to 1 (white). Transparent pixels
 * count as white.
 * Limits: pictures up to 4096 pixels wide after scaling.
 * Source: PaddleOCR's preprocessing for PP-OCRv4 recognition.
 */
import { PNG } from 'pngjs';
import type { FloatTensor } from '../client/oip.ts';

const height = 48;
const maxWidth = 4096;

/** @throws RangeError when the picture is too wide for one line */
export function lineTensor(png: Buffer): FloatTensor {
  const picture = PNG.sync.read(png);
  const scaledWidth = (picture.width * height) / picture.height;
  const width = Math.ceil(scaledWidth / 8) * 8;
  if (width > maxWidth)
    throw new RangeError(`the picture is ${picture.width} x ${picture.height}: too wide for one line of text`);
  const data = new Float32Array(3 * height * width);
  const step = { x: picture.width / scaledWidth, y: picture.height / height };
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      // Sample each pixel at its centre.
      const [red, green, blue] = sample(picture, (x + 0.5) * step.x - 0.5, (y + 0.5) * step.y - 0.5);
      const at = y * width + x;
      data[at] = blue / 127.5 - 1;
      data[at + height * width] = green / 127.5 - 1;
      data[at + 2 * height * width] = red / 127.5 - 1;
    }
  }
  return { shape: [1, 3, height, width], data };
}

type Rgb = readonly [red: number, green: number, blue: number];

/**
 * The colour at a position, by bilinear interpolation between the four nearest pixels. Beyond an edge, the pixels of
 * the edge are repeated.
 */
function sample(picture: PNG, x: number, y: number): Rgb {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [right, down] = [x - left, y - top];
  const corners = [
    pixel(picture, left, top),
    pixel(picture, left + 1, top),
    pixel(picture, left, top + 1),
    pixel(picture, left + 1, top + 1),
  ] as const;
  const shares = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down] as const;
  const mix = (channel: 0 | 1 | 2): number =>
    corners[0][channel] * shares[0] +
    corners[1][channel] * shares[1] +
    corners[2][channel] * shares[2] +
    corners[3][channel] * shares[3];
  return [mix(0), mix(1), mix(2)];
}

function pixel({ width, height: rows, data }: PNG, x: number, y: number): Rgb {
  const at = (Math.min(Math.max(y, 0), rows - 1) * width + Math.min(Math.max(x, 0), width - 1)) * 4;
  const opacity = (data[at + 3] ?? 255) / 255;
  const onWhite = (value: number | undefined): number => (value ?? 255) * opacity + 255 * (1 - opacity);
  return [onWhite(data[at]), onWhite(data[at + 1]), onWhite(data[at + 2])];
}
