/**
 * The list of tasks: what a model may be used for.
 *
 * Owns:  their names. The schema, the runtime's config and runtime/tasks/registry.ts are made from this list.
 */

export const taskNames = ['Tensor', 'Embedding'] as const;
/** Part of the design, refused by name until they work. */
export const plannedTasks = ['Transcription', 'Generation'] as const;

export type TaskName = (typeof taskNames)[number];
