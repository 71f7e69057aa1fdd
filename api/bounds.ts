/**
 * Bounds of the fields that both the spec and the runtime's config have.
 *
 * Terms: A run is one call of ONNX Runtime. A row is one entry of the first dimension of its inputs.
 * Owns:  the numbers. The CRD's schema and api/runtime-config.ts use the same bounds, so that a pod accepts every
 *        config that was made from an accepted spec.
 * Units: lengths in characters, sizes of lists and maps in entries; other units are in the names.
 */

export type Bound = { readonly min?: number; readonly max: number };

const hourMs = 3_600_000;

export const bounds = {
  uri: { min: 1, max: 2048 },
  digest: { max: 71 },
  path: { max: 512 },
  files: { min: 1, max: 64 },
  variants: { max: 8 },
  graphs: { min: 1, max: 1 },
  outputName: { min: 1, max: 256 },
  /** Tokens of one text, special tokens included. */
  maxTokens: { min: 1, max: 131_072 },
  providers: { min: 1, max: 4 },
  providerOptions: { max: 32 },
  sessionConfig: { max: 32 },
  optionValue: { max: 256 },
  workers: { min: 1, max: 64 },
  threadsPerWorker: { min: 1, max: 256 },
  /** The number of rows that one run may have. */
  maxBatchSize: { min: 1, max: 1024 },
  /** The number of requests that may wait for a run. */
  maxQueueDepth: { min: 1, max: 65_536 },
  clientHeader: { min: 1, max: 64 },
  warmupRequests: { min: 0, max: 10_000 },
  /** The maximum is one day: a longer wait is likely a mistake in the unit. */
  waitMs: { min: 0, max: 24 * hourMs },
  memoryLimitBytes: { min: 64 * 2 ** 20, max: Number.MAX_SAFE_INTEGER },
} as const satisfies Readonly<Record<string, Bound>>;
