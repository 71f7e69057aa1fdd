/**
 * Canonical JSON (RFC 8785): equal values have equal text, for comparing objects and for hashing them. goJson writes
 * JSON as the API server does.
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

/**
 * The text that Go's encoding/json writes for a value: fields are sorted, and `<`, `>`, `&` and two line separators are
 * escaped. The API server stores some fields (a ControllerRevision's `data`) as the text that it received. When it
 * patches the object, it writes them in this form and compares the bytes. A field that the operator sends in this form
 * therefore compares as equal.
 */
export function goJson(value: unknown): string {
  return canonicalJson(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
