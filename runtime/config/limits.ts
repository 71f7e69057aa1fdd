/**
 * Limits of the server that follow from its memory limit. Pure.
 *
 * Owns: the shares of memory. Without a memory limit, 16 GiB are assumed.
 * Terms: a run is one call of ONNX Runtime; it may join the inputs of several requests. A model is warmed when it has
 *       finished the runs that precede its first request. Anonymous memory is memory that is not a copy of a file.
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';

/** Limits that are known before the model is loaded. */
export type ServerLimits = {
  /** Maximum size of a request's body, also after decompression. */
  readonly bodyBytes: number;
  /** Maximum size of the JSON part of a body. */
  readonly jsonBytes: number;
  /** Maximum number of input elements of one request. */
  readonly requestElements: number;
  /** Maximum number of input elements of a run that joins requests. A larger request runs alone. */
  readonly batchElements: number;
};

/** Shares of the memory that the warmed model leaves free. Each share can only be used for its own purpose. */
export type MemoryShares = {
  /** For inputs, intermediate results and outputs of current runs. */
  readonly runBytes: number;
  /** For parsing and printing JSON, and for tokenising. */
  readonly parseBytes: number;
  /** For the inputs of waiting requests: decoded, they may be larger than their bodies. */
  readonly waitingBytes: number;
  /** For bodies and answers of all current requests. */
  readonly bodiesBytes: number;
};

const mib = 2 ** 20;
const roomyBytes = 16 * 2 ** 30;
/**
 * Above this share of the memory limit, requests are refused (call/memory-guard.ts). The other 7 % of the limit
 * is a reserve for memory that MemoryShares does not count.
 */
const usableShare = 0.93;
/** Loading a model may use up to this share of the limit; above it, the kernel may kill the process. */
const loadShare = 0.9;
/** Growth of Node's heap while requests are served. */
const servingBytes = 8 * mib;
/** A warmed model is refused if it leaves less than this for requests: for runs, parsing and bodies together. */
const leastRoomBytes = 8 * mib;
/** An error message recommends a memory limit that leaves this much for requests. */
const tellRoomBytes = 48 * mib;
/** Anonymous memory of a process without a model. */
export const emptyProcessBytes = 45 * mib;
/** Anonymous memory of a server without a model: the process, its threads, its heap while it serves requests. */
const emptyServerBytes = 90 * mib;
/** Above this share of the limit a worker is replaced to free memory (call/memory-guard.ts). */
const recycleShare = 0.85;
const threadsBytes = 20 * mib;
/** Memory of a process with one session, not counting the weights. */
const sessionBytes = 50 * mib;

/**
 * @param bodyBytes the configured limit of a body
 * @param memoryBytes the container's memory limit; undefined when there is no limit
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
 * @param memoryBytes the container's memory limit; undefined when there is no limit
 * @param heldBytes anonymous memory of the process with the model loaded and warmed
 */
export function shareMemory(memoryBytes: number | undefined, heldBytes: number): MemoryShares {
  const free = Math.max(
    0,
    (memoryBytes ?? roomyBytes) * usableShare - (memoryBytes === undefined ? 0 : heldBytes) - servingBytes,
  );
  return {
    runBytes: Math.floor(free / 2),
    parseBytes: Math.floor(Math.min((free * 3) / 16, 384 * mib)),
    waitingBytes: Math.floor(Math.min(free / 16, 128 * mib)),
    bodiesBytes: Math.floor(Math.min(free / 4, 512 * mib)),
  };
}

/**
 * Memory in bytes of the codec, which parses and prints large bodies of tensors. A task other than Tensor parses
 * requests on its own thread, so the codec and the task get half of the memory each.
 */
export function codecBytes({ task }: Pick<RuntimeConfig, 'task'>, { parseBytes }: MemoryShares): number {
  return task === 'Tensor' ? parseBytes : Math.floor(parseBytes / 2);
}

/**
 * A memory limit that is sufficient, for the error message that refuses a smaller limit. The weights are added a second
 * time, because a second copy of them is in memory while the model is optimised.
 *
 * @param heldBytes anonymous memory of the process @param loadBytes memory that loading the model adds
 */
export function sufficientLimit(heldBytes: number, loadBytes: number, weightsBytes: number): number {
  return Math.ceil((heldBytes + loadBytes + weightsBytes + tellRoomBytes) / 0.9);
}

/** Anonymous memory of a server with loaded workers. @param sessionBytes memory of one session after loading */
export function heldByServer(workers: number, sessionBytes: number): number {
  return emptyServerBytes + workers * sessionBytes;
}

/**
 * The smallest memory limit with which shareMemory() gives `runBytes` to runs, and with which a server that keeps the
 * memory of these runs does not replace its workers.
 */
export function limitForRuns(heldBytes: number, runBytes: number): number {
  return Math.ceil(
    Math.max(
      (heldBytes + servingBytes + Math.max(2 * runBytes, leastRoomBytes)) / usableShare,
      (heldBytes + servingBytes + runBytes) / recycleShare,
    ),
  );
}

/** Estimates the memory for loading a model from the size of its weights: two copies are in memory during loading. */
export function guessedLoadBytes(weightsBytes: number): number {
  return sessionBytes + 2 * weightsBytes;
}

/**
 * The memory that loading adds to the serving process. The formula follows a measurement with 90 MB of weights: loading
 * added a third more than `prepare` had measured in its own process, plus the memory of the threads for JSON and text.
 *
 * @param estimateBytes anonymous memory of a process with one session, as `prepare` measured it; 0 when it is not known
 */
export function loadBytesOf(estimateBytes: number): number {
  return estimateBytes === 0 ? 0 : Math.max(0, estimateBytes - emptyProcessBytes) * (4 / 3) + threadsBytes;
}

/** Whether the model can be loaded within the limit. @param loadBytes memory that loading will add */
export function loadFits(memoryBytes: number | undefined, heldBytes: number, loadBytes: number): boolean {
  return memoryBytes === undefined || heldBytes + loadBytes <= memoryBytes * loadShare;
}

/**
 * Whether a warmed model leaves enough memory for requests.
 * @param heldBytes anonymous memory of the process with the model
 */
export function servingFits(memoryBytes: number | undefined, heldBytes: number): boolean {
  return memoryBytes === undefined || heldBytes + servingBytes + leastRoomBytes <= memoryBytes * usableShare;
}
