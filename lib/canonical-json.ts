/**
 * Canonical JSON (RFC 8785): equal values have equal text, for comparing objects and for hashing them.
 *
 * Owns:   the bytes that are hashed for the names of revisions. Changing one byte would rename every revision.
 * Limits: JSON values only; a member that is undefined is left out.
 * Throws: Error for a number that is not finite and for text with a lone surrogate, because JSON in UTF-8 cannot
 *         contain them.
 */
import canonicalize from 'canonicalize';

export function canonicalJson(value: unknown): string {
  return canonicalize(value) ?? 'null';
}
