/**
 * How much of everything a server takes on, from its memory limit.
 *
 * Owns:  the shares. Pure. Without a limit the defaults are those of a machine with room.
 */

/** What is known before the model is loaded. */
export type ServerLimits = {
  /** A request's body, also after decompression. */
  readonly bodyBytes: number;
  /** The JSON part of a body. */
  readonly jsonBytes: number;
  /** Input elements of one request. */
  readonly requestElements: number;
  /** Input elements of one run. A request that is larger runs alone. */
  readonly batchElements: number;
};

/** Who may take how much of the memory that the warmed model leaves free. Nobody borrows from another's share. */
export type MemoryShares = {
  /** Runs under way: inputs, intermediate results, outputs. */
  readonly runBytes: number;
  /** Parsing and printing JSON, tokenising. */
  readonly parseBytes: number;
  /** Bodies and answers of all requests under way. */
  readonly bodiesBytes: number;
};

const mib = 2 ** 20;
const roomyBytes = 16 * 2 ** 30;
/** Above this share of the limit requests are refused (server/memory-guard.ts); the rest is for what nobody counts. */
export const usableShare = 0.9;
/** What Node's heap may grow by while requests are served. */
export const servingBytes = 32 * mib;

/**
 * @param bodyBytes the limit that was asked for
 * @param memoryBytes the container's limit; undefined for none
 */
export function planLimits(bodyBytes: number, memoryBytes: number | undefined): ServerLimits {
  const memory = memoryBytes ?? roomyBytes;
  return {
    bodyBytes,
    jsonBytes: Math.min(bodyBytes, Math.max(mib, Math.floor(memory / 16))),
    requestElements: 2 ** 26,
    batchElements: Math.max(2 ** 16, Math.min(2 ** 24, Math.floor(memory / 64))),
  };
}

/**
 * @param memoryBytes the container's limit; undefined for none
 * @param heldBytes anonymous memory of the process with the model loaded and warmed
 */
export function shareMemory(memoryBytes: number | undefined, heldBytes: number): MemoryShares {
  const free = Math.max(0, (memoryBytes ?? roomyBytes) * usableShare - (memoryBytes === undefined ? 0 : heldBytes) - servingBytes);
  return {
    runBytes: Math.floor(free / 2),
    parseBytes: Math.floor(Math.min(free / 4, 512 * mib)),
    bodiesBytes: Math.floor(Math.min(free / 4, 512 * mib)),
  };
}
