/**
 * Reads the weights of a TensorFlow.js model: a manifest (JSON) and one or more binary shards.
 * Owns: the layout of tensors in the shards, and their 8-bit quantisation (the byte q means the number
 * q * scale + min).
 * Limits: the tensors of the manifest must cover all bytes of the shards; any other manifest is refused.
 * Source: the TensorFlow.js "layers/graph model" format: the tensors are stored in the order of the manifest.
 */

export type Quantization = { readonly min: number; readonly scale: number };

export type TfjsTensor = {
  readonly shape: readonly number[];
  /**
   * The stored bytes: one byte per element of a quantised tensor, otherwise four bytes (float32 or int32,
   * little-endian).
   */
  readonly bytes: Uint8Array;
  /** Absent when the tensor is not quantised. */
  readonly quantization?: Quantization;
};

type ManifestWeight = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: Quantization & { readonly dtype: string };
};

/** The part of model.json that this file reads. */
export type Manifest = {
  readonly weightsManifest: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly ManifestWeight[];
  }[];
};

/**
 * @param shards the binary files of the manifest's first group, joined in the order of the manifest
 * @returns tensors by name, as views into `shards`
 * @throws RangeError when manifest and shards disagree
 */
export function readWeights(manifest: Manifest, shards: Uint8Array): ReadonlyMap<string, TfjsTensor> {
  const tensors = new Map<string, TfjsTensor>();
  let offset = 0;
  for (const { name, shape, dtype, quantization } of manifest.weightsManifest[0]?.weights ?? []) {
    const length = elementsOf(shape) * widthOf(quantization?.dtype ?? dtype);
    const bytes = shards.subarray(offset, offset + length);
    tensors.set(
      name,
      quantization === undefined
        ? { shape, bytes }
        : { shape, bytes, quantization: { min: quantization.min, scale: quantization.scale } },
    );
    offset += length;
  }
  if (offset !== shards.length)
    throw new RangeError(`the manifest describes ${offset} bytes of weights, the shards hold ${shards.length}`);
  return tensors;
}

/** The tensor's values in float32, as TensorFlow.js computes them. */
export function toFloat32({ shape, bytes, quantization }: TfjsTensor): Float32Array {
  if (quantization === undefined) return new Float32Array(bytes.slice().buffer);
  const { min, scale } = quantization;
  const values = new Float32Array(elementsOf(shape));
  for (let i = 0; i < values.length; i += 1) values[i] = (bytes[i] ?? 0) * scale + min;
  return values;
}

/**
 * @returns the byte that represents 0.0, with an error of at most 1/100 of a step; undefined when there is no such byte
 */
export function zeroPointOf({ min, scale }: Quantization): number | undefined {
  const exact = -min / scale;
  const nearest = Math.round(exact);
  return Math.abs(exact - nearest) < 0.01 && nearest >= 0 && nearest <= 255 ? nearest : undefined;
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

function widthOf(dtype: string): number {
  const width = { uint8: 1, bool: 1, float32: 4, int32: 4 }[dtype];
  if (width === undefined) throw new RangeError(`weights of type ${dtype} are not supported`);
  return width;
}
