/**
 * The table of tasks (uses of a model with their protocols, such as Embedding): each entry contains everything that the
 * server, the sidecar and `serve` need to know about a task.
 *
 * Owns:  the list. A task's code is loaded only for models with that task, because it may need extra packages.
 */
import type { TaskName } from '../../api/tasks.ts';
import type { GoldenCase } from '../golden/case.ts';
import { textCases } from '../golden/generate.ts';
import { embeddingsPath } from '../protocol/openai/embeddings.ts';
import type { TaskFactory } from './task.ts';

type TaskRow = {
  readonly load: () => Promise<TaskFactory>;
  /** Paths that only this task answers. */
  readonly paths: readonly string[];
  /** For a task whose requests are not tensors: generates inputs to compare revisions, and makes an example request. */
  readonly asked?: {
    readonly cases: (model: string, made: { readonly seed: number; readonly count: number }) => readonly GoldenCase[];
    readonly example: (model: string) => { readonly path: string; readonly body: unknown };
  };
};

/** The task Tensor has no routes of its own: it only uses the Open Inference Protocol, which every task supports. */
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
