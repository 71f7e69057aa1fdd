/**
 * The table of tasks: a row says all that the server, the sidecar and `serve` have to know of one.
 *
 * Rule:  a task is loaded only when a model asks for it: it may need packages that others do not.
 */
import type { TaskName } from '../../api/tasks.ts';
import type { GoldenCase } from '../golden/case.ts';
import { textCases } from '../golden/generate.ts';
import { embeddingsPath } from '../protocol/openai/embeddings.ts';
import type { TaskFactory } from './task.ts';

type TaskRow = {
  readonly load: () => Promise<TaskFactory>;
  /** Paths that no other task answers. */
  readonly paths: readonly string[];
  /** Where requests are not tensors: golden cases that are made up, and a request that shows how the model is asked. */
  readonly asked?: {
    readonly cases: (model: string, made: { readonly seed: number; readonly count: number }) => readonly GoldenCase[];
    readonly example: (model: string) => { readonly path: string; readonly body: unknown };
  };
};

/** Nothing beside the protocol that every task speaks. */
const tensor: TaskFactory = () => Promise.resolve({ routes: [] });

export const tasks: { readonly [T in TaskName]: TaskRow } = {
  Tensor: { load: () => Promise.resolve(tensor), paths: [] },
  Embedding: {
    load: async () => (await import('./embedding/embedding.ts')).createEmbedding,
    paths: [embeddingsPath],
    asked: {
      cases: textCases,
      example: (model) => ({ path: embeddingsPath, body: { model, input: 'hello world' } }),
    },
  },
};
