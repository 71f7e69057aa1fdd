/**
 * The search set: pieces of guides with their vectors, in a format that is fast to read.
 * Owns: the format. `guides.json` lists the guides. `pieces.json` has, for each piece, the index of its guide and its
 * text. `vectors.f32` has the vectors of the pieces, one after another (little-endian float32, 384 per piece, scaled to
 * length 1).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

export type Guide = { readonly id: string; readonly category: string; readonly description: string };
export type Piece = { readonly guide: number; readonly text: string };
export type GuideSet = {
  readonly guides: readonly Guide[];
  readonly pieces: readonly Piece[];
  readonly vectors: Float32Array;
  readonly width: number;
};

type ShippedPiece = {
  readonly id: string;
  readonly category: string;
  readonly description: string;
  readonly chunkContent: string;
  readonly vector: readonly number[];
};

const maxUnpackedBytes = 64 << 20;

export async function buildGuides(packed: string, into: string): Promise<void> {
  const text = await promisify(gunzip)(await readFile(packed), { maxOutputLength: maxUnpackedBytes });
  // The digest of the packed file was checked, so the file has this type.
  const shipped = JSON.parse(text.toString('utf8')) as readonly ShippedPiece[];
  const set = compact(shipped);
  await writeFile(join(into, 'guides.json'), `${JSON.stringify(set.guides)}\n`);
  await writeFile(join(into, 'pieces.json'), `${JSON.stringify(set.pieces)}\n`);
  await writeFile(join(into, 'vectors.f32'), new Uint8Array(set.vectors.buffer));
}

function compact(shipped: readonly ShippedPiece[]): GuideSet {
  const width = shipped[0]?.vector.length ?? 0;
  const indices = new Map<string, number>();
  const guides: Guide[] = [];
  const vectors = new Float32Array(shipped.length * width);
  const pieces = shipped.map(({ id, category, description, chunkContent, vector }, index): Piece => {
    if (!indices.has(id)) indices.set(id, guides.push({ id, category, description }) - 1);
    vectors.set(scaledToOne(vector), index * width);
    return { guide: indices.get(id) ?? 0, text: chunkContent };
  });
  return { guides, pieces, vectors, width };
}

function scaledToOne(vector: readonly number[]): readonly number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** Reads the files that `buildGuides` wrote. */
export async function readGuides(folder: string): Promise<GuideSet> {
  const [guides, pieces, bytes] = await Promise.all([
    readFile(join(folder, 'guides.json'), 'utf8'),
    readFile(join(folder, 'pieces.json'), 'utf8'),
    readFile(join(folder, 'vectors.f32')),
  ]);
  const parsed = JSON.parse(pieces) as readonly Piece[];
  const vectors = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
  );
  return {
    guides: JSON.parse(guides) as readonly Guide[],
    pieces: parsed,
    vectors,
    width: vectors.length / parsed.length,
  };
}
