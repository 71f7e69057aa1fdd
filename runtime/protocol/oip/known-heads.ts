/**
 * Remembers the JSON heads of binary infer requests, because clients send the same head again and again: a head that is
 * known byte by byte is not parsed again.
 *
 * Owns:   which heads are remembered: those of requests whose inputs are all numbers in binary, so that the head alone
 *         determines everything but the numbers.
 * Limits: `maxHeads` heads of at most `maxHeadBytes`; the oldest is replaced first.
 */
import { makeTensor, type NamedTensors, type Tensor, type TensorType } from '../../engine/tensor.ts';
import { arrayOfBytes } from './datatypes.ts';
import type { InferRequest } from './decode.ts';

const maxHeads = 8;
const maxHeadBytes = 4096;
/**
 * Names that consist of digits: JavaScript lists such keys of an object before all other keys, so the order of the
 * inputs would be lost, and the head is not remembered.
 */
const isIndex = /^(?:0|[1-9]\d*)$/;

type KnownInput = {
  readonly name: string;
  readonly type: Exclude<TensorType, 'string'>;
  readonly dims: readonly number[];
  readonly bytes: number;
};
type KnownHead = {
  readonly json: Buffer;
  readonly request: Omit<InferRequest, 'inputs'>;
  readonly inputs: readonly KnownInput[];
  /** Bytes of all inputs. */
  readonly bytes: number;
};

export class KnownHeads {
  readonly #heads: KnownHead[] = [];
  #next = 0;

  /**
   * @returns undefined when the head is not known, or the data after it have another length
   * @throws AppError REQUEST_INVALID for a BOOL other than 0 and 1
   */
  find(body: Uint8Array<ArrayBuffer>, jsonBytes: number): InferRequest | undefined {
    for (const head of this.#heads) {
      const { json, bytes } = head;
      if (json.length !== jsonBytes || body.length !== jsonBytes + bytes) continue;
      if (json.compare(body, 0, jsonBytes) === 0) return { ...head.request, inputs: inputsOf(head, body) };
    }
    return undefined;
  }

  /** Remembers the head of a request that was decoded, if it determines the request. */
  add(body: Uint8Array<ArrayBuffer>, jsonBytes: number, request: InferRequest): void {
    if (jsonBytes > maxHeadBytes || jsonBytes >= body.length) return;
    const inputs = Object.entries(request.inputs).map(([name, tensor]) => inputOf(name, tensor));
    const bytes = inputs.reduce((sum, input) => sum + (input?.bytes ?? 0), 0);
    // If an input has its data in the JSON, the inputs have more bytes than follow the JSON.
    if (bytes !== body.length - jsonBytes || !inputs.every((input) => input !== undefined)) return;
    const { inputs: _body, ...rest } = request;
    this.#heads[this.#next] = { json: Buffer.from(body.subarray(0, jsonBytes)), request: rest, inputs, bytes };
    this.#next = (this.#next + 1) % maxHeads;
  }
}

function inputOf(name: string, { type, dims, data }: Tensor): KnownInput | undefined {
  // Do not remember two kinds of names. An object lists names such as "0" first, so the order of the data would be
  // lost. The name __proto__ would need an object without a prototype, which is slower.
  if (type === 'string' || name === '__proto__' || isIndex.test(name)) return undefined;
  return { name, type, dims, bytes: data.byteLength };
}

function inputsOf({ inputs, json }: KnownHead, body: Uint8Array<ArrayBuffer>): NamedTensors {
  const tensors: Record<string, Tensor> = {};
  let from = json.length;
  for (const { name, type, dims, bytes } of inputs) {
    const data = arrayOfBytes(type, body.subarray(from, from + bytes), `input '${name}'`);
    tensors[name] = makeTensor(type, dims, data);
    from += bytes;
  }
  return tensors;
}
