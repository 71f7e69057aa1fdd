/**
 * One session of ONNX Runtime: loading a model, and running it on tensors of this project.
 *
 * Owns:   the types of the binding that this project relies on, and the conversion of tensors.
 * Limits: a run blocks its thread until it ends, so only worker threads and child processes use it.
 * Why:    the binding's own layer wraps each run into a promise and a turn of the event loop. A worker that waits for
 *         small batches without an event loop (mailbox.ts) needs a plain call, which also costs 10 µs less.
 */
import { binding, initOrt } from 'onnxruntime-node/dist/binding.js';
import { makeTensor, type ArrayOf, type NamedTensors, type Tensor, type TensorType } from './tensor.ts';

export type OrtSession = {
  /** Names of the inputs that the model needs. */
  readonly inputNames: readonly string[];
  run(feeds: object, fetches: Readonly<Record<string, null>>): Readonly<Record<string, OrtTensor>>;
  release(): void;
};
export type OrtTensor = {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView<ArrayBuffer> | readonly string[];
};

type NativeSession = InstanceType<typeof binding.InferenceSession>;

/** @throws what ONNX Runtime throws */
export function openSession({
  graphPath,
  options,
}: {
  readonly graphPath: string;
  readonly options: object;
}): OrtSession {
  initOrt();
  const native = new binding.InferenceSession();
  native.loadModel(graphPath, availableOnly(options) as Parameters<NativeSession['loadModel']>[1] & object);
  return {
    inputNames: native.inputMetadata.map(({ name }) => name),
    run: (feeds, fetches) =>
      native.run(feeds as Parameters<NativeSession['run']>[0], fetches, {}) as unknown as Record<string, OrtTensor>,
    release: () => native.dispose(),
  };
}

type Provider = string | { readonly name: string };

/**
 * Leaves out execution providers that this build of ONNX Runtime does not have.
 * @throws Error when it has none of them
 */
function availableOnly(options: object): object {
  const { executionProviders: asked = [] } = options as { readonly executionProviders?: readonly Provider[] };
  const available = new Set(binding.listSupportedBackends().map(({ name }) => name));
  const nameOf = (provider: Provider): string => (typeof provider === 'string' ? provider : provider.name);
  const executionProviders = asked.filter((provider) => available.has(nameOf(provider)));
  if (asked.length > 0 && executionProviders.length === 0)
    throw new Error(`no available backend found. ERR: [${asked.map(nameOf).join('], [')}] backend not found.`);
  return { ...options, executionProviders };
}

/** @throws what ONNX Runtime throws */
export function runSession(session: OrtSession, inputs: NamedTensors, outputs: readonly string[]): NamedTensors {
  const results = runFeeds(session, feedsOf(inputs), fetchesOf(outputs));
  return Object.fromEntries(outputs.map((name) => [name, ownTensorOf(name, results[name])]));
}

/**
 * @param fetches the names of the wanted outputs, from fetchesOf
 * @throws what ONNX Runtime throws
 */
export function runFeeds(
  session: OrtSession,
  feeds: Readonly<Record<string, unknown>>,
  fetches: Readonly<Record<string, null>>,
): Readonly<Record<string, OrtTensor>> {
  for (const name of session.inputNames) {
    if (feeds[name] === undefined) throw new Error(`input '${name}' is missing in 'feeds'.`);
  }
  return session.run(feeds, fetches);
}

/** The inputs in the form that the binding takes. */
export function feedsOf(inputs: NamedTensors): Readonly<Record<string, unknown>> {
  const feeds = Object.create(null) as Record<string, unknown>;
  for (const name of Object.keys(inputs)) {
    const tensor = inputs[name];
    feeds[name] = { type: tensor?.type, dims: tensor?.dims, data: tensor?.data, location: 'cpu' };
  }
  return feeds;
}

/** The outputs to fetch, in the form that the binding takes: null leaves the allocation to ONNX Runtime. */
export function fetchesOf(outputs: readonly string[]): Readonly<Record<string, null>> {
  return Object.fromEntries(outputs.map((name) => [name, null]));
}

/** ONNX Runtime returns float16 as a Float16Array. A Tensor of this project holds the same bits in a Uint16Array. */
export function ownTensorOf(name: string, tensor: OrtTensor | undefined): Tensor {
  if (tensor === undefined) throw new Error(`output '${name}' was not produced`);
  const { type, dims, data } = tensor;
  if (type !== 'float16' || !ArrayBuffer.isView(data))
    return makeTensor(type as TensorType, [...dims], data as ArrayOf[TensorType]);
  return makeTensor('float16', [...dims], new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2));
}
