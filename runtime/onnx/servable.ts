/**
 * Decides whether a model can be served, before ONNX Runtime sees it.
 *
 * Owns: the reasons to refuse a file that could be read: a missing or unsupported version, an input or output that
 *       ONNX Runtime's JavaScript binding cannot pass or that would crash it, no tensor output. A reason completes the
 *       message "… is not a model this runtime can serve:".
 * Pure.
 */
import { isServable } from './element-type.ts';
import type { OtherKind, TensorInfo } from './model-info.ts';
import type { RawGraph, RawModel, RawValue } from './read-model.ts';
import { tooNew } from './supported.ts';

export type Servable = {
  readonly graph: RawGraph;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly otherOutputs: readonly { readonly name: string; readonly kind: OtherKind }[];
};

type Refusal = { readonly problem: string };

export function checkServable(model: RawModel): Servable | Refusal {
  const { graph } = model;
  if (graph === undefined) return { problem: 'it has no graph (is it an ONNX file?)' };
  if (model.irVersion < 1) return { problem: 'not an ONNX file: ir_version is missing' };
  if (Object.keys(model.opsets).length === 0) return { problem: 'it does not declare an operator set' };
  const newer = tooNew(model.irVersion, model.opsets);
  if (newer !== undefined) return { problem: newer };
  const inputs = checkInputs(graph);
  if ('problem' in inputs) return inputs;
  const outputs = checkOutputs(graph);
  return 'problem' in outputs ? outputs : { graph, inputs: inputs.tensors, ...outputs };
}

function checkInputs(graph: RawGraph): { tensors: readonly TensorInfo[] } | Refusal {
  const tensors: TensorInfo[] = [];
  for (const input of graph.inputs) {
    if (graph.constants.has(input.name)) continue;
    const problem =
      problemOf(input, 'input') ??
      (input.kind === 'tensor'
        ? undefined
        : `its input '${input.name}' is ${article(input.kind)}, but requests carry tensors only`);
    if (problem !== undefined) return { problem };
    addTensor(input, tensors);
  }
  return { tensors };
}

function checkOutputs(graph: RawGraph): Omit<Servable, 'graph' | 'inputs'> | Refusal {
  const outputs: TensorInfo[] = [];
  const otherOutputs: { name: string; kind: OtherKind }[] = [];
  for (const output of graph.outputs) {
    const problem = problemOf(output, 'output');
    if (problem !== undefined) return { problem };
    addTensor(output, outputs);
    if (output.kind !== 'tensor') otherOutputs.push({ name: output.name, kind: output.kind });
  }
  if (graph.outputs.length === 0) return { problem: 'its graph has no outputs' };
  const [other] = otherOutputs;
  if (outputs.length > 0 || other === undefined) return { outputs, otherOutputs };
  return {
    problem:
      `none of its outputs is a tensor ('${other.name}' is ${article(other.kind)}): export it without that last ` +
      'step (for scikit-learn: zipmap=False)',
  };
}

/** Problems of a single input or output, independent of other inputs and outputs. */
function problemOf(value: RawValue, side: 'input' | 'output'): string | undefined {
  if (value.name === '') return `one of its ${side}s has no name`;
  if (value.kind === 'untyped')
    return `its ${side} '${value.name}' has no type: run ONNX shape inference over the file first`;
  if (value.kind !== 'tensor') return undefined;
  if (value.type === undefined)
    return `its ${side} '${value.name}' has the element type ${value.code}, which this version does not support`;
  if (isServable(value.type)) return undefined;
  return (
    `its ${side} '${value.name}' is of type ${value.type}, which ONNX Runtime's Node.js binding cannot carry: add ` +
    'a Cast'
  );
}

function addTensor(value: RawValue, to: TensorInfo[]): void {
  if (value.kind !== 'tensor' || value.type === undefined || !isServable(value.type)) return;
  to.push({ name: value.name, type: value.type, ...(value.dims === undefined ? {} : { dims: value.dims }) });
}

function article(kind: OtherKind): string {
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}
