/** The example request that `serve` prints. */
import assert from 'node:assert/strict';
import type { TensorSpec } from '../../../../runtime/engine/signature.ts';
import { readyLine } from '../../../../runtime/serve/ready-line.ts';

const line = (inputs: readonly TensorSpec[], task: 'Tensor' | 'Embedding' = 'Tensor'): string =>
  readyLine({
    config: { name: 'm', task },
    signature: { inputs, outputs: [] },
    url: 'http://h:1',
    metricsUrl: 'http://h:3',
  });

describe('readyLine', () => {
  it('makes a request of the signature', () => {
    assert.match(
      line([{ name: 'ids', type: 'int64', dims: ['n', 2] }]),
      new RegExp(
        String.raw`^serving m at http:\/\/h:1 \(metrics at http:\/\/h:3\), try: curl -s ` +
          String.raw`http:\/\/h:1\/v2\/models\/m\/infer .*-d ` +
          String.raw`'\{"inputs":\[\{"name":"ids","datatype":"INT64","shape":\[1,2\],"data":\[[01],[01]` +
          String.raw`\]\}\]\}'\n$`,
      ),
    );
  });

  it('asks for an embedding with task Embedding', () =>
    assert.match(line([], 'Embedding'), /\/v1\/embeddings .*'\{"model":"m","input":"hello world"\}'/));
  it('shows the metadata of a model with large inputs', () =>
    assert.match(
      line([{ name: 'x', type: 'float32', dims: [1, 3, 224, 224] }]),
      /try: curl -s http:\/\/h:1\/v2\/models\/m\n$/,
    ));
  it('shows the metadata of a model without a JSON form', () =>
    assert.match(line([{ name: 'x', type: 'float16', dims: [1] }]), /curl -s http:\/\/h:1\/v2\/models\/m\n$/));
  it('names outputs that are not returned', () => {
    const signature = { inputs: [], outputs: [], otherOutputs: [{ name: 'scores', kind: 'sequence' as const }] };
    assert.match(
      readyLine({ config: { name: 'm', task: 'Tensor' }, signature, url: 'http://h:1', metricsUrl: 'http://h:3' }),
      /, without the outputs 'scores' \(sequence\), which are not tensors, try: /,
    );
  });
  it('quotes for a shell', () => assert.ok(line([{ name: "it's", type: 'float32', dims: [1] }]).includes("it'\\''s")));
});
