/**
 * A model's inputs and outputs: names, element types and shapes.
 *
 * Owns:  the type, and the check of a request's tensors against it, with messages that name the input.
 * Pure.
 */
import { AppError } from '../../api/errors.ts';
import type { ModelInfo } from '../onnx/model-info.ts';
import type { NamedTensors, Tensor, TensorType } from './tensor.ts';

export type TensorSpec = {
  readonly name: string;
  readonly type: TensorType;
  /**
   * A number is a fixed dimension. A text is the name of a free dimension, or '' when it has no name. Absent if the
   * rank is unknown.
   */
  readonly dims?: readonly (number | string)[];
};

/** `outputs` does not contain outputs that are not tensors, or whose type the binding does not support. */
export type Signature = {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Outputs that are not tensors, for messages. */
  readonly otherOutputs?: ModelInfo['otherOutputs'];
};

/** The signature of an inspected model. */
export function signatureOf({
  inputs,
  outputs,
  otherOutputs = [],
}: Pick<ModelInfo, 'inputs' | 'outputs'> & Partial<Pick<ModelInfo, 'otherOutputs'>>): Signature {
  return { inputs, outputs, ...(otherOutputs.length === 0 ? {} : { otherOutputs }) };
}

/**
 * Refuses inputs that the model does not accept.
 * @param say the protocol's name of an element type, for messages
 * @throws AppError REQUEST_INVALID naming the first input at fault, its value and the expected value
 */
export function checkInputs(
  signature: Signature,
  inputs: NamedTensors,
  say: (type: TensorType) => string = (type) => type,
): void {
  const known = (): string => listOf(signature.inputs.map(({ name }) => name));
  for (const name of Object.keys(inputs)) {
    if (!signature.inputs.some((input) => input.name === name))
      throw invalid(`unknown input '${name}': the model's inputs are ${known()}`);
  }
  for (const spec of signature.inputs) {
    const tensor = Object.hasOwn(inputs, spec.name) ? inputs[spec.name] : undefined;
    if (tensor === undefined) throw invalid(`input '${spec.name}' is missing: the model's inputs are ${known()}`);
    checkInput(spec, tensor, say);
  }
}

function checkInput(spec: TensorSpec, tensor: Tensor, say: (type: TensorType) => string): void {
  if (tensor.type !== spec.type)
    throw invalid(`input '${spec.name}' is ${say(tensor.type)}, expected ${say(spec.type)}`);
  if (spec.dims === undefined) return;
  const fits =
    tensor.dims.length === spec.dims.length &&
    spec.dims.every((dim, axis) => typeof dim === 'string' || dim === tensor.dims[axis]);
  if (!fits)
    throw invalid(`input '${spec.name}' has shape [${tensor.dims.join(',')}], expected ${printDims(spec.dims)}`);
}

/**
 * The outputs to fetch: the requested outputs, or all outputs if the request names none.
 * @throws AppError REQUEST_INVALID for a name that is not an output of the model
 */
export function chooseOutputs(signature: Signature, asked: readonly string[] | undefined): readonly string[] {
  const known = signature.outputs.map(({ name }) => name);
  if (asked === undefined || asked.length === 0) return known;
  const unknown = asked.find((name) => !known.includes(name));
  const other = signature.otherOutputs?.find(({ name }) => name === unknown);
  if (other !== undefined)
    throw invalid(
      `output '${other.name}' is of kind ${other.kind}, but answers carry tensors only: the model's outputs are ` +
        `${listOf(known)}`,
    );
  if (unknown !== undefined) throw invalid(`unknown output '${unknown}': the model's outputs are ${listOf(known)}`);
  return asked;
}

/** Prints a shape: [batch,4], with ? for a free dimension without a name. */
export function printDims(dims: readonly (number | string)[]): string {
  return `[${dims.map((dim) => (dim === '' ? '?' : dim)).join(',')}]`;
}

/** True if rows can be added along the first dimension: that dimension is free in every input and output. */
export function isBatchable(signature: Signature): boolean {
  return (
    signature.inputs.length > 0 &&
    [...signature.inputs, ...signature.outputs].every(({ dims }) => typeof dims?.[0] === 'string')
  );
}

/**
 * True if an input has an unknown rank, or a free dimension other than the first dimension: memory then varies between
 * requests.
 */
export function hasFreeShape(signature: Signature): boolean {
  return signature.inputs.some(
    ({ dims }) => dims === undefined || dims.slice(1).some((dim) => typeof dim === 'string'),
  );
}

function invalid(problem: string): AppError {
  return new AppError('REQUEST_INVALID', { problem });
}

function listOf(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ');
}
