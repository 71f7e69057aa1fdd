/**
 * Selects the key of a user's ConfigMap that is the golden set.
 *
 * Limits: `goldenLimitBytes`, because the set is copied into the revision's own ConfigMap (at most 1 MiB). Pure.
 */
import type { ConfigMap } from '../../kube/kinds.ts';
import type { GoldenFile } from '../resources/objects.ts';
import { ownValue } from '../../api/record.ts';

export type Picked =
  | { readonly kind: 'file'; readonly file: GoldenFile }
  | { readonly kind: 'problem'; readonly reason: 'GoldenSetMissing' | 'GoldenSetInvalid'; readonly problem: string };

/** Leaves space for the config file in a ConfigMap of 1 MiB. */
export const goldenLimitBytes = 900 * 1024;

/** Keys that are used even if the ConfigMap has other keys. */
const usualKeys: readonly string[] = ['golden.jsonl', 'golden.bin'];

export function pickGoldenFile({
  metadata: { name },
  data = {},
  binaryData = {},
}: Pick<ConfigMap, 'metadata' | 'data' | 'binaryData'>): Picked {
  const keys = [...Object.keys(data), ...Object.keys(binaryData)];
  const key = keys.length === 1 ? keys[0] : usualKeys.find((usual) => keys.includes(usual));
  const file = key === undefined ? undefined : fileOf(ownValue(data, key), ownValue(binaryData, key));
  if (key === undefined || file === undefined) {
    const found = keys.length === 0 ? 'none' : keys.slice(0, 5).join(', ');
    return {
      kind: 'problem',
      reason: 'GoldenSetMissing',
      problem: `ConfigMap ${name} must contain one key, or one named ${usualKeys.join(' or ')} (found: ${found})`,
    };
  }
  const sizeBytes = Buffer.byteLength('text' in file ? file.text : file.base64);
  if (sizeBytes <= goldenLimitBytes) return { kind: 'file', file };
  return {
    kind: 'problem',
    reason: 'GoldenSetInvalid',
    problem:
      `key ${key} of ConfigMap ${name} has ${sizeBytes} bytes, the limit is ${goldenLimitBytes}: use ` +
      'spec.rollout.gates.golden.uri for a larger set',
  };
}

/** Gives the file a fixed name: the user's key could equal the name of another file in the revision's ConfigMap. */
function fileOf(text: string | undefined, base64: string | undefined): GoldenFile | undefined {
  if (text !== undefined) return { name: 'golden.jsonl', text };
  return base64 === undefined ? undefined : { name: 'golden.bin', base64 };
}
