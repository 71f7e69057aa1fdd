/**
 * Messages between the HTTP thread and the codec thread, which parses and prints large JSON, and the form of a
 * response's body.
 *
 * Owns: these types, and joining JSON and binary data into one body.
 */
import type { ErrorCode } from '../../../api/errors.ts';
import { buffersOf } from '../../engine/messages.ts';
import { makeTensor, type Tensor } from '../../engine/tensor.ts';
import type { DecodeLimits, InferRequest } from './decode.ts';
import type { EncodedResponse, InferResponse } from './encode.ts';

export type CodecSetup = {
  /** How far the scheduling priority is below the HTTP thread's priority: 0 (the same) to 19. */
  readonly nice: number;
};

export type CodecTask =
  | {
      readonly kind: 'decode';
      readonly body: Uint8Array<ArrayBuffer>;
      readonly jsonBytes: number;
      readonly limits: DecodeLimits;
    }
  | { readonly kind: 'encode'; readonly response: InferResponse };

export type CodecAnswer =
  | { readonly kind: 'Decoded'; readonly request: InferRequest }
  | { readonly kind: 'Encoded'; readonly encoded: Encoded }
  | { readonly kind: 'Refused'; readonly code: ErrorCode; readonly params: unknown };

/** A body in pieces, to be written one after the other. */
export type Encoded = {
  readonly chunks: readonly (string | Uint8Array)[];
  readonly bytes: number;
  /** Length of the JSON when binary data follows it; undefined when the body is all JSON. */
  readonly jsonBytes: number | undefined;
};

export function joinEncoded({ json, blobs }: EncodedResponse): Encoded {
  const jsonBytes = Buffer.byteLength(json);
  if (blobs === undefined) return { chunks: [json], bytes: jsonBytes, jsonBytes: undefined };
  return { chunks: [json, ...blobs], bytes: blobs.reduce((sum, blob) => sum + blob.length, jsonBytes), jsonBytes };
}

/**
 * A copy of the response, and the buffers of the copy's tensors. Copying is needed because a batch's outputs are views
 * of one buffer, which other requests of the batch still use.
 */
export function toHandOver(response: InferResponse): {
  readonly response: InferResponse;
  readonly transfer: ArrayBuffer[];
} {
  const outputs = response.outputs.map((output) => ({ ...output, tensor: ownTensor(output.tensor) }));
  return { response: { ...response, outputs }, transfer: buffersOf(outputs.map(({ tensor }) => ({ tensor }))) };
}

function ownTensor(tensor: Tensor): Tensor {
  return tensor.type === 'string' ? tensor : makeTensor(tensor.type, tensor.dims, tensor.data.slice());
}
