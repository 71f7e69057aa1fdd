/**
 * Migration from `kubectl apply` to `kubectl apply --server-side` and back, as on the real server.
 * Owns: which conflicts the annotation of client-side apply excuses, and updating the annotation when kubectl applies
 * on the server, so that a later client-side apply finds what was applied last.
 * Rule: this applies to the manager `kubectl` only.
 */
import { isRecord } from '../../../api/record.ts';
import { copyOf, recordOf, sorted, stringAt, type JsonRecord } from '../../../lib/json.ts';
import { isWithinAnnotationLimit } from '../../../kube/schema/metadata.ts';
import type { StoredObject } from '../../objects.ts';
import { groupVersionOf, type ObjectDraft, type Resource } from '../resource.ts';
import { FieldSet } from './field-set.ts';
import { differenceOf, fieldsOf } from './walk.ts';

const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
const manager = 'kubectl';

/** Fields that client-side apply set last and whose value is unchanged: kubectl may take them over without force. */
export function excusedConflicts(resource: Resource, live: StoredObject | undefined, who: string): FieldSet {
  const text = live?.metadata.annotations?.[annotation] ?? '';
  if (who !== manager || live === undefined || text === '') return new FieldSet();
  const applied = parse(text);
  if (applied === undefined || applied['apiVersion'] !== groupVersionOf(resource)) return new FieldSet();
  const { added, modified, removed } = differenceOf(applied, live, resource.schema);
  return fieldsOf(applied, resource.schema).difference(modified).difference(added).difference(removed);
}

/**
 * Writes the configuration into the annotation if the object has one.
 * @param draft is changed
 */
export function renewLastApplied(draft: ObjectDraft, config: ObjectDraft, who: string): void {
  const annotations = recordOf(draft.metadata['annotations']);
  if (who !== manager || (stringAt(annotations, annotation) ?? '') === '') return;
  const applied = copyOf(config);
  const own = applied.metadata['annotations'];
  if (isRecord(own)) delete own[annotation];
  annotations[annotation] = goJson(applied);
  if (!isWithinAnnotationLimit(annotations)) delete annotations[annotation];
}

function parse(text: string): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** As Go's encoder writes it: sorted fields, characters of HTML escaped, a newline at the end. */
function goJson(value: unknown): string {
  const escaped = JSON.stringify(sorted(value)).replace(
    /[<>&\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${escaped}\n`;
}
