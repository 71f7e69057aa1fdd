/**
 * One session of ONNX Runtime: loading a model, and running it on tensors of this project.
 *
 * Owns:   the types of the binding that this project relies on, and the conversion of tensors.
 * Limits: `session.run` blocks its thread until the run ends, so only worker threads and child processes use it.
 */
import { InferenceSession } from 'onnxruntime-node';
import { makeTensor, type ArrayOf, type NamedTensors, type Tensor, type TensorType } from './tensor.ts';

export type OrtSession = {
  run(feeds: object, fetches: readonly string[]): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
};
type OrtTensor = {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView<ArrayBuffer> | readonly string[];
};

/** @throws what ONNX Runtime throws */
export async function openSession({
  graphPath,
  options,
}: {
  readonly graphPath: string;
  readonly options: object;
}): Promise<OrtSession> {
  return (await InferenceSession.create(
    graphPath,
    options as InferenceSession.SessionOptions,
  )) as unknown as OrtSession;
}

/** @throws what ONNX Runtime throws */
export async function runSession(
  session: OrtSession,
  inputs: NamedTensors,
  outputs: readonly string[],
): Promise<NamedTensors> {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { type, dims, data }]) => [name, { type, dims, data, location: 'cpu' }]),
  );
  const results = await session.run(feeds, outputs);
  return Object.fromEntries(outputs.map((name) => [name, plain(name, results[name])]));
}

/** ONNX Runtime returns float16 as a Float16Array. A Tensor of this project holds the same bits in a Uint16Array. */
function plain(name: string, tensor: OrtTensor | undefined): Tensor {
  if (tensor === undefined) throw new Error(`output '${name}' was not produced`);
  const { type, dims, data } = tensor;
  if (type !== 'float16' || !ArrayBuffer.isView(data))
    return makeTensor(type as TensorType, [...dims], data as ArrayOf[TensorType]);
  return makeTensor('float16', [...dims], new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2));
}
