/**
 * Messages between the server and an engine process, one JSON document a line.
 *
 * Owns: the messages in both directions. Numbers of tensors do not cross here but in a lane: memory that both processes
 *       have. A lane belongs to one request at a time.
 */
import type { Socket } from 'node:net';
import type { CacheShape } from '../caches.ts';
import type { SequenceNews } from '../messages.ts';
import type { PartResult } from '../port.ts';
import type { SessionOptions } from '../session-options.ts';
import type { TensorType } from '../tensor.ts';

export type EngineTask = {
  readonly graphPath: string;
  readonly options: SessionOptions;
  /** Scheduling priority of the process: 0 (same as the server) to 19 (lowest). */
  readonly nice: number;
  /** Limit of the memory of all runs together, without weights, in bytes. Absent: no limit. */
  readonly arenaBytes?: number;
  /** Number of requests at once. */
  readonly lanes: number;
};

/** A tensor in a lane, from byte `at` on; texts cross in the message. */
export type WireTensor = {
  readonly name: string;
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly at: number;
  readonly texts?: readonly string[];
};

export type WireStep = {
  readonly id: number;
  readonly inputs: readonly WireTensor[];
  readonly keep: Readonly<Record<string, string>>;
  readonly outputs: readonly string[];
};

/** Rows of slots of a cache: one run, or one copy of positions. */
export type CacheRun = {
  readonly cache: number;
  readonly from: number;
  readonly count: number;
  readonly inputs: readonly WireTensor[];
  readonly outputs: readonly string[];
};
export type PlaceInSlot = { readonly slot: number; readonly position: number };
export type CacheCopy = {
  readonly cache: number;
  readonly from: PlaceInSlot;
  readonly to: PlaceInSlot;
  readonly length: number;
};

/** Work that is answered with `ran`, or with `broke`. */
export type EngineWork =
  | {
      readonly kind: 'run';
      /** The tensors of all requests, joined, and the rows of each; or the tensors of each request, without rows. */
      readonly sets: readonly (readonly WireTensor[])[];
      readonly rows?: readonly number[];
      readonly outputs: readonly string[];
    }
  | { readonly kind: 'step'; readonly steps: readonly WireStep[] }
  | { readonly kind: 'openCache'; readonly cache: number; readonly shape: CacheShape }
  | ({ readonly kind: 'runCache' } & CacheRun)
  | ({ readonly kind: 'copyCache' } & CacheCopy);

export type ToEngine =
  | { readonly kind: 'load'; readonly task: EngineTask }
  | {
      readonly kind: 'work';
      readonly id: number;
      readonly lane: number;
      readonly end: number;
      readonly work: EngineWork;
    }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'news'; readonly news: SequenceNews }
  | { readonly kind: 'closeCache'; readonly cache: number }
  | { readonly kind: 'trim' }
  | { readonly kind: 'release' };

export type WirePart =
  { readonly kind: 'Done'; readonly outputs: readonly WireTensor[] } | Exclude<PartResult, { kind: 'Done' }>;

export type WireResult = {
  /** The outputs of a joined run, whose rows the server splits; otherwise `parts` has a result for each request. */
  readonly whole?: readonly WireTensor[];
  readonly parts: readonly WirePart[];
  readonly inferMs: number;
  readonly together: boolean;
  readonly stateBytes?: readonly number[];
};

export type FromEngine =
  /** `lanes` are descriptors of the engine process, which the server opens in /proc. */
  | { readonly kind: 'loaded'; readonly loadMs: number; readonly lanes: readonly number[] }
  | { readonly kind: 'loadFailed'; readonly why: string }
  | { readonly kind: 'ran'; readonly id: number; readonly result: WireResult }
  | { readonly kind: 'broke'; readonly id: number; readonly why: string }
  /** The process was asked to end by SIGTERM. It ends when the server releases it. */
  | { readonly kind: 'leaving' };

/** Sends one message. Does nothing when the other side has gone. */
export function sendLine(socket: Socket, message: ToEngine | FromEngine): void {
  if (!socket.destroyed && socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** Calls `hear` with each message that arrives. */
export function hearLines<T extends ToEngine | FromEngine>(socket: Socket, hear: (message: T) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) hear(JSON.parse(line) as T);
  });
}
