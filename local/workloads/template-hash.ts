/**
 * The hash of a pod template: equal templates have equal hashes, whatever the order of their keys.
 * Owns: the hash in a ReplicaSet's name and label. Pure.
 */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../lib/canonical-json.ts';
import type { PodTemplate } from './resources.ts';

export const hashLabel = 'pod-template-hash';

/** Without vowels and ambiguous characters, so that a hash does not form a word. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** @returns ten characters that are valid in a label and a name */
export function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256')
    .update(canonicalJson(withoutHash(template)))
    .digest();
  return [...digest.subarray(0, 10)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

export function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return canonicalJson(withoutHash(a)) === canonicalJson(withoutHash(b));
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}
