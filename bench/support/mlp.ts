/**
 * A model with dense layers of any size and with weights from a seed. The server has to do real arithmetic for it, and
 * the bench does not have to download it.
 */
import { weight, type Model, type Node, type Weight } from '../../runtime/onnx/build.ts';

/** The model maps x[batch, width] to y[batch, width]. Each of its `layers` maps width → hidden → width. */
export function mlp({
  layers,
  width,
  hidden,
}: {
  readonly layers: number;
  readonly width: number;
  readonly hidden: number;
}): Model {
  const nodes: Node[] = [];
  const weights: Weight[] = [];
  let from = 'x';
  for (let layer = 0; layer < layers; layer += 1) {
    const names = [`up${layer}`, `relu${layer}`, layer === layers - 1 ? 'y' : `down${layer}`] as const;
    weights.push(weight(`w${layer}a`, 'float32', [width, hidden], noise(width * hidden, 1 / Math.sqrt(width))));
    weights.push(weight(`w${layer}b`, 'float32', [hidden, width], noise(hidden * width, 1 / Math.sqrt(hidden))));
    nodes.push({ op: 'MatMul', inputs: [from, `w${layer}a`], outputs: [names[0]] });
    nodes.push({ op: 'Relu', inputs: [names[0]], outputs: [names[1]] });
    nodes.push({ op: 'MatMul', inputs: [names[1], `w${layer}b`], outputs: [names[2]] });
    from = names[2];
  }
  const shape = ['batch', width];
  return {
    opset: 17,
    graph: {
      name: 'mlp',
      nodes,
      weights,
      inputs: [{ name: 'x', type: 'float32', shape }],
      outputs: [{ name: 'y', type: 'float32', shape }],
    },
  };
}

function noise(count: number, scale: number): Float32Array {
  const values = new Float32Array(count);
  let state = 1;
  for (let index = 0; index < count; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    values[index] = (state / 2 ** 31 - 1) * scale;
  }
  return values;
}
