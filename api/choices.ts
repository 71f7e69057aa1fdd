/**
 * Closed lists of words that more than one contract uses, each named once: providers, precisions.
 *
 * Owns:  the words. The spec, the runtime's config and the report are made from these lists. Tasks are in
 *        api/tasks.ts, ways to compare answers in api/golden-metrics.ts.
 */

export const providerNames = ['CPU', 'CUDA', 'TensorRT', 'WebGPU'] as const;
/** Number formats that a file of weights may have. */
export const variantPrecisions = ['FP32', 'FP16', 'INT8', 'INT4'] as const;
/** What may be served: the model as it is, or one of its variants. */
export const precisions = ['Source', ...variantPrecisions] as const;

export type ProviderName = (typeof providerNames)[number];
export type Precision = (typeof precisions)[number];
