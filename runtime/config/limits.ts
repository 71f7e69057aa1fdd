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
/** Above this share of the limit requests are refused (call/memory-guard.ts); the rest is for what nobody counts. */
const usableShare = 0.93;
/** A process that is foreseen to come to this share of its limit while it loads may be killed there. */
const loadShare = 0.9;
/** What Node's heap may grow by while requests are served. */
const servingBytes = 8 * mib;
/**
 * Room without which hardly a request could be answered: an eighth of it for a body, a quarter for JSON, half for a
 * run.
 */
const leastRoomBytes = 8 * mib;
/** Room beside the model that a limit should have which is told to a person. */
const tellRoomBytes = 48 * mib;
const emptyProcessBytes = 45 * mib;
const threadsBytes = 20 * mib;
/** A process with a loaded session and nothing in it. */
const sessionBytes = 50 * mib;

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
  const free = Math.max(
    0,
    (memoryBytes ?? roomyBytes) * usableShare - (memoryBytes === undefined ? 0 : heldBytes) - servingBytes,
  );
  return {
    runBytes: Math.floor(free / 2),
    parseBytes: Math.floor(Math.min(free / 4, 512 * mib)),
    bodiesBytes: Math.floor(Math.min(free / 4, 512 * mib)),
  };
}

/**
 * A limit that will do, for the message that refuses a smaller one: the optimised form can be made with it, which holds
 * the weights once more, and there is room for requests.
 *
 * @param heldBytes anonymous memory of the process, @param loadBytes and what loading the model adds to it
 */
export function sufficientLimit(heldBytes: number, loadBytes: number, weightsBytes: number): number {
  return Math.ceil((heldBytes + loadBytes + weightsBytes + tellRoomBytes) / 0.9);
}

/** What loading takes, by the size of the weights: they are held twice while they are read. */
export function guessedLoadBytes(weightsBytes: number): number {
  return sessionBytes + 2 * weightsBytes;
}

/**
 * What loading adds to the process that serves. Measured with 90 MB of weights, held by the session: a third more than
 * in a process of its own, and the threads for JSON and text.
 *
 * @param estimateBytes anonymous memory of a process with one session when the model was prepared; 0 for not known
 */
export function loadBytesOf(estimateBytes: number): number {
  return estimateBytes === 0 ? 0 : Math.max(0, estimateBytes - emptyProcessBytes) * (4 / 3) + threadsBytes;
}

/**
 * Whether a model can be loaded at all, before it is.
 *
 * @param loadBytes what loading will add
 */
export function loadFits(memoryBytes: number | undefined, heldBytes: number, loadBytes: number): boolean {
  return memoryBytes === undefined || heldBytes + loadBytes <= memoryBytes * loadShare;
}

/**
 * Whether a warmed model leaves enough for requests. @param heldBytes anonymous memory of the process with the model
 */
export function servingFits(memoryBytes: number | undefined, heldBytes: number): boolean {
  return memoryBytes === undefined || heldBytes + servingBytes + leastRoomBytes <= memoryBytes * usableShare;
}
