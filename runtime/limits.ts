/**
 * How much of everything a server takes on, from its memory limit.
 *
 * Owns:  the shares. Pure. Without a limit the defaults are those of a machine with room.
 */

export type ServerLimits = {
  /** A request's body, also after decompression. */
  readonly bodyBytes: number;
  /** The JSON part of a body: parsed, it takes several times its size. */
  readonly jsonBytes: number;
  /** Heap of the thread that parses large JSON. */
  readonly codecHeapMb: number;
  /** Bodies of all requests under way. */
  readonly bodiesBytes: number;
  /** Input elements of one request. */
  readonly requestElements: number;
  /** Input elements of one run. A request that is larger runs alone. */
  readonly batchElements: number;
};

const mib = 2 ** 20;

/**
 * @param bodyBytes the limit that was asked for
 * @param memoryBytes the container's limit; undefined for none
 */
export function planLimits(bodyBytes: number, memoryBytes: number | undefined): ServerLimits {
  const memory = memoryBytes ?? 16 * 2 ** 30;
  const jsonBytes = Math.min(bodyBytes, Math.max(mib, Math.floor(memory / 16)));
  return {
    bodyBytes,
    jsonBytes,
    // Short numbers are the worst: two bytes of text become an element of eight, in an array that grows by copying.
    codecHeapMb: 64 + Math.ceil((12 * jsonBytes) / mib),
    bodiesBytes: Math.max(bodyBytes, Math.min(512 * mib, Math.floor(memory / 4))),
    requestElements: 2 ** 26,
    batchElements: Math.max(2 ** 16, Math.min(2 ** 24, Math.floor(memory / 64))),
  };
}
