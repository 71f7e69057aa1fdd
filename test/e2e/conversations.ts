/** The requests of the stories' clients, and their correct answers. */
import assert from 'node:assert/strict';
import type { Answer, Conversation } from './clients.ts';
import { modelScales } from './models-folder.ts';

const x = [1, 2, 3, 4];
/** x·W of the linear model: see `matmul` in test/support/onnx-models.ts. */
const xW = [1 + 3 + 2 * 4, 2 + 3 - 4];

type InferAnswer = {
  readonly model_version: string;
  readonly outputs: readonly { readonly data: readonly number[] }[];
};

/**
 * A tensor request of the Open Inference Protocol. The answer must equal what the model `linear` or `doubled` computes.
 */
export function tensors(name: string): Conversation {
  return {
    path: `/v2/models/${name}/infer`,
    body: JSON.stringify({ inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: x }] }),
    check(answer) {
      const parsed = accepted<InferAnswer>(answer);
      const scale = (parsed.outputs[0]?.data[0] ?? 0) / (xW[0] ?? 1);
      assert.ok(Object.values(modelScales).includes(scale), `the answer is not from one of the models: ${answer.body}`);
      assert.deepEqual(
        parsed.outputs[0]?.data,
        xW.map((value) => value * scale),
      );
      return parsed.model_version;
    },
  };
}

type EmbeddingAnswer = { readonly data: readonly { readonly embedding: readonly number[] }[]; readonly model: string };

/**
 * Two texts with the same meaning and a third text with another meaning. The embeddings of the first two must be the
 * closest.
 */
export function embeddings(name: string): Conversation {
  const input = [
    'How do I centre a box on a page?',
    'Put an element in the middle of the screen.',
    'The soup needs more salt.',
  ];
  return {
    path: '/v1/embeddings',
    body: JSON.stringify({ model: name, input }),
    check(answer) {
      const [first = [], second = [], third = []] = accepted<EmbeddingAnswer>(answer).data.map(
        (item) => item.embedding,
      );
      assert.equal(first.length, 384);
      assert.ok(
        dot(first, second) > dot(first, third) + 0.1,
        `alike ${dot(first, second)}, unlike ${dot(first, third)}`,
      );
      return name;
    },
  };
}

function accepted<T>(answer: Answer): T {
  assert.equal(answer.status, 200, `${answer.status} ${answer.body.slice(0, 300)}`);
  return JSON.parse(answer.body) as T;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
}
