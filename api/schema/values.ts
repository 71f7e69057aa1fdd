/** Schemas of values that several parts of OnnxModel's spec have: durations, digests, paths, names. */
import { bounds } from '../bounds.ts';
import { quantityPattern } from '../quantities.ts';
import { k } from './builder.ts';
import { durationPattern, percentPattern } from '../units.ts';

export const digestPattern = '^sha256:[0-9a-f]{64}$';
/** A relative path without hidden files and without "..", so that it stays in the folder. */
const pathPattern = '^([A-Za-z0-9_@+-][A-Za-z0-9._@+-]*/)*[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*$';
export const dnsLabelPattern = '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$';

export const duration = (): ReturnType<typeof k.string> => k.string({ max: 32, pattern: durationPattern });
export const digest = (): ReturnType<typeof k.string> => k.string({ ...bounds.digest, pattern: digestPattern });
export const path = (): ReturnType<typeof k.string> => k.string({ ...bounds.path, pattern: pathPattern });
export const objectName = (): ReturnType<typeof k.string> => k.string({ max: 253, pattern: dnsLabelPattern });
export const percent = (): ReturnType<typeof k.string> => k.string({ max: 8, pattern: percentPattern });
/** A Kubernetes quantity, such as 500m or 2Gi. */
export const quantity = (): ReturnType<typeof k.intOrString> => k.intOrString(quantityPattern, { max: 32 });
export const configMapRef = () => k.object({ name: objectName().doc("The ConfigMap, in the model's namespace.") });
