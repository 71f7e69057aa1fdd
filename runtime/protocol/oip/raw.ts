/**
 * The raw form of the binary extension: with Inference-Header-Content-Length 0, the body is one input's bytes.
 *
 * Owns:  deriving the shape, which such a request does not contain. Pure.
 */
import { bytesPerElement, makeTensor } from '../../engine/tensor.ts';
import { printDims, type Signature } from '../../engine/signature.ts';
import { datatypeOf, invalidRequest, textOf } from './datatypes.ts';
import { readBytes, type InferRequest } from './decode.ts';

/**
 * @throws AppError REQUEST_INVALID when the model has more than one input, or the shape cannot be derived from the size
 */
export function decodeRaw(body: Uint8Array<ArrayBuffer>, signature: Signature): InferRequest {
  const [spec, ...others] = signature.inputs;
  if (spec === undefined || others.length > 0)
    throw invalidRequest(
      'a raw binary request (Inference-Header-Content-Length: 0) needs a model with one input, but this model has ' +
        `${signature.inputs.length}`,
    );
  const where = `input '${spec.name}'`;
  const width = bytesPerElement(spec.type);
  const elements = width === undefined ? 1 : body.length / width;
  if (!Number.isInteger(elements))
    throw invalidRequest(
      `${where}: a raw body of ${body.length} bytes does not contain whole elements of ${datatypeOf(spec.type)}`,
    );
  const dims = shapeFor(spec.dims, elements, where);
  const data = spec.type === 'string' ? [textOf(body, where, 0)] : readBytes(spec.type, elements, body, where);
  return { inputs: { [spec.name]: makeTensor(spec.type, dims, data) }, outputs: [], binaryOutput: true };
}

function shapeFor(dims: readonly (number | string)[] | undefined, elements: number, where: string): readonly number[] {
  if (dims === undefined) return [elements];
  const free = dims.filter((dim) => typeof dim === 'string').length;
  const fixed = dims.reduce<number>((product, dim) => (typeof dim === 'number' ? product * dim : product), 1);
  const rest = elements / fixed;
  if (free > 1 || !Number.isInteger(rest) || (free === 0 && rest !== 1)) {
    throw invalidRequest(
      `${where}: ${elements} elements do not determine a shape ${printDims(dims)}: send a JSON header with the shape`,
    );
  }
  return dims.map((dim) => (typeof dim === 'number' ? dim : rest));
}
