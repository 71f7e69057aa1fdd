/**
 * The tasks that a model can have.
 *
 * Owns: their names. The schema, the runtime's config and runtime/tasks/registry.ts are made from this list.
 */

export const taskNames = ['Tensor', 'Embedding'] as const;
/** Tasks of the design that are not implemented yet; the published CRD refuses them. */
export const plannedTasks = ['Transcription', 'Generation'] as const;

export type TaskName = (typeof taskNames)[number];
