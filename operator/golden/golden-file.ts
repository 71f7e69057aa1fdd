/**
 * Which key of a user's ConfigMap is the golden set.
 *
 * Limits: the set goes into the revision's own ConfigMap, beside the config, which has at most 1 MiB.
 * Pure.
 */
import type { ConfigMap } from '../../kube/kinds.ts';
import type { GoldenFile } from '../resources/objects.ts';
import { ownValue } from '../../api/record.ts';

export type Picked =
  | { readonly kind: 'file'; readonly file: GoldenFile }
  | { readonly kind: 'problem'; readonly reason: 'GoldenSetMissing' | 'GoldenSetInvalid'; readonly problem: string };

/** Room is left for the config and for base64. */
export const goldenLimitBytes = 900 * 1024;

/** Keys that are meant even where there are others. */
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
    const has = keys.length === 0 ? 'is empty' : `has the keys ${keys.slice(0, 5).join(', ')}`;
    return {
      kind: 'problem',
      reason: 'GoldenSetMissing',
      problem: `ConfigMap ${name} ${has}: it is to have one key, or ${usualKeys.join(' or ')}`,
    };
  }
  const sizeBytes = Buffer.byteLength('text' in file ? file.text : file.base64);
  if (sizeBytes <= goldenLimitBytes) return { kind: 'file', file };
  return {
    kind: 'problem',
    reason: 'GoldenSetInvalid',
    problem:
      `key ${key} of ConfigMap ${name} has ${sizeBytes} bytes, at most ${goldenLimitBytes} are taken: give a uri ` +
      'for a larger set',
  };
}

/** Not under the user's name, which could be one of ours. */
function fileOf(text: string | undefined, base64: string | undefined): GoldenFile | undefined {
  if (text !== undefined) return { name: 'golden.jsonl', text };
  return base64 === undefined ? undefined : { name: 'golden.bin', base64 };
}
