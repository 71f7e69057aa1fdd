/**
 * Describes server and model in the protocol's form: metadata, configuration, statistics, repository index.
 *
 * Owns:  the bodies of these answers. Pure.
 */
import type { InferStats } from '../../call/tally.ts';
import { isBatchable, type Signature, type TensorSpec } from '../../engine/signature.ts';
import { datatypeOf } from './datatypes.ts';

export const serverName = 'onnx-operator';
export const extensions = ['binary_tensor_data', 'model_repository', 'model_configuration', 'statistics'] as const;

export type ModelName = { readonly name: string; readonly version: string };

export function serverMetadata(version: string) {
  return { name: serverName, version, extensions };
}

export function modelMetadata(model: ModelName, signature: Signature) {
  return {
    name: model.name,
    versions: [model.version],
    platform: 'onnx_onnxv1',
    inputs: signature.inputs.map(tensorMetadata),
    outputs: signature.outputs.map(tensorMetadata),
  };
}

/** -1 stands for a free dimension. If the rank is unknown, the shape is [-1]. */
function tensorMetadata({ name, type, dims }: TensorSpec) {
  return {
    name,
    datatype: datatypeOf(type),
    shape: dims === undefined ? [-1] : dims.map((dim) => (typeof dim === 'number' ? dim : -1)),
  };
}

/** Triton's form of a model configuration: if requests can be batched, `dims` omits the first dimension. */
export function modelConfig(
  model: ModelName,
  signature: Signature,
  batching: { readonly maxRows: number; readonly maxDelayMs: number; readonly workers: number },
) {
  const rows = isBatchable(signature) ? batching.maxRows : 0;
  const tensor = ({ name, type, dims }: TensorSpec) => ({
    name,
    data_type: `TYPE_${type === 'string' ? 'STRING' : datatypeOf(type)}`,
    dims: (dims ?? ['']).slice(rows > 0 ? 1 : 0).map((dim) => (typeof dim === 'number' ? dim : -1)),
  });
  return {
    name: model.name,
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    max_batch_size: rows,
    input: signature.inputs.map(tensor),
    output: signature.outputs.map(tensor),
    ...(rows > 0 ? { dynamic_batching: { max_queue_delay_microseconds: Math.round(batching.maxDelayMs * 1000) } } : {}),
    instance_group: [{ name: model.name, kind: 'KIND_CPU', count: batching.workers }],
  };
}

export function modelStatistics(model: ModelName, stats: InferStats) {
  const span = (count: number, ms: number) => ({ count, ns: Math.round(ms * 1e6) });
  return {
    model_stats: [
      {
        name: model.name,
        version: model.version,
        last_inference: Math.round(stats.lastInferenceMs),
        inference_count: stats.rows,
        execution_count: stats.runs,
        inference_stats: {
          success: span(stats.ok, stats.totalMs),
          fail: span(stats.failed, 0),
          queue: span(stats.ok, stats.queueMs),
          compute_input: span(stats.ok, stats.decodeMs),
          compute_infer: span(stats.ok, stats.inferMs),
          compute_output: span(stats.ok, stats.encodeMs),
        },
      },
    ],
  };
}

export function repositoryIndex(model: ModelName, state: { readonly ready: boolean; readonly reason: string }) {
  return [
    {
      name: model.name,
      version: model.version,
      state: state.ready ? 'READY' : 'UNAVAILABLE',
      reason: state.ready ? '' : state.reason,
    },
  ];
}
