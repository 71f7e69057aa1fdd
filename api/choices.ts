/**
 * Values of enumerations that several schemas share: providers and precisions. A variant is a file of the same model in
 * another precision.
 *
 * Owns: the words. The spec, the runtime's config and the report are made from these lists. Tasks are in api/tasks.ts,
 *       metrics in api/golden-metrics.ts.
 */

export const providerNames = ['CPU', 'CUDA', 'TensorRT', 'WebGPU'] as const;
/** Number formats of a variant's weights. */
export const variantPrecisions = ['FP32', 'FP16', 'INT8', 'INT4'] as const;
/** `Source` means the model as it was published. Every other precision names a variant that is made from the model. */
export const precisions = ['Source', ...variantPrecisions] as const;

export type ProviderName = (typeof providerNames)[number];
export type Precision = (typeof precisions)[number];
