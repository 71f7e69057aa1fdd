/**
 * The tasks there are, each loaded only when a model asks for it.
 */
import type { TaskFactory, TaskRegistry } from './task.ts';

/** Nothing beside the protocol that every task speaks. */
const tensor: TaskFactory = () => Promise.resolve({ routes: [] });

export const tasks: TaskRegistry = {
  Tensor: () => Promise.resolve(tensor),
  Embedding: async () => (await import('./embedding/embedding.ts')).createEmbedding,
};
