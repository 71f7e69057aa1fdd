/**
 * Validates the metadata of every object: names, labels, annotations, owners, finalizers.
 * Pure: returns causes (problems of fields) with the sentences of kube-apiserver.
 */
import { isRecord } from '../../api/record.ts';
import { listOf, recordOf, recordsOf, stringAt, type JsonRecord } from '../../lib/json.ts';
import { forbiddenValue, invalidValue, requiredValue, type Cause } from './cause.ts';

const labelText = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomainText = `${labelText}(\\.${labelText})*`;
const subdomain = new RegExp(`^${subdomainText}$`);
const label = new RegExp(`^${labelText}$`);
const qualifiedPart = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;

const subdomainRule =
  `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start ` +
  `and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomainText}')`;
const labelRule =
  `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end ` +
  `with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${labelText}')`;
const namePartRule =
  `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an ` +
  `alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is ` +
  `'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`;
const labelValueRule =
  `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start ` +
  `and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation ` +
  `is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`;

/** Maximum number of bytes of all annotations of one object, keys and values together. */
const maxAnnotationBytes = 256 * 1024;

/**
 * The problem of a name; undefined for a valid one.
 * @param shape what the name must be: a DNS label, of at most 63 characters, or a DNS subdomain, of at most 253
 */
export function nameProblem(name: string, shape: 'label' | 'subdomain'): string | undefined {
  if (shape === 'label') {
    if (name.length > 63) return 'must be no more than 63 bytes';
    return label.test(name) ? undefined : labelRule;
  }
  if (name.length > 253) return 'must be no more than 253 bytes';
  return subdomain.test(name) ? undefined : subdomainRule;
}

/** The problem of a key of a label or annotation, or of a finalizer. */
export function qualifiedNameProblem(key: string): string | undefined {
  const parts = key.split('/');
  if (parts.length > 2)
    return (
      `a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an ` +
      `alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is ` +
      `'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. ` +
      `'example.com/MyName')`
    );
  const name = parts.at(-1) ?? '';
  const prefix = parts.length === 2 ? parts[0] : undefined;
  if (prefix === '') return 'prefix part must be non-empty';
  if (prefix !== undefined && !subdomain.test(prefix)) return `prefix part ${subdomainRule}`;
  if (name === '') return 'name part must be non-empty';
  if (name.length > 63) return 'name part must be no more than 63 bytes';
  return qualifiedPart.test(name) ? undefined : namePartRule;
}

export function labelValueProblem(value: string): string | undefined {
  if (value.length > 63) return 'must be no more than 63 bytes';
  return labelValue.test(value) ? undefined : labelValueRule;
}

/** @param shape which names the resource accepts: DNS labels or DNS subdomains */
export function validateMeta(object: { readonly metadata: JsonRecord }, shape: 'label' | 'subdomain'): Cause[] {
  const metadata = object.metadata;
  const name = stringAt(metadata, 'name') ?? '';
  const problem = name === '' ? undefined : nameProblem(name, shape);
  return [
    ...(name === '' ? [requiredValue('metadata.name', 'name or generateName is required')] : []),
    ...(problem === undefined ? [] : [invalidValue('metadata.name', name, problem)]),
    ...validateLabels(metadata['labels'], 'metadata.labels'),
    ...validateAnnotations(metadata['annotations']),
    ...validateOwners(metadata['ownerReferences']),
    ...validateFinalizers(metadata['finalizers']),
  ];
}

export function validateLabels(labels: unknown, path: string): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(recordOf(labels))) {
    const ofKey = qualifiedNameProblem(key);
    if (ofKey !== undefined) causes.push(invalidValue(path, key, ofKey));
    const ofValue = labelValueProblem(String(value));
    if (ofValue !== undefined) causes.push(invalidValue(path, value, ofValue));
  }
  return causes;
}

function validateAnnotations(annotations: unknown): Cause[] {
  const causes: Cause[] = [];
  for (const key of Object.keys(recordOf(annotations))) {
    const problem = qualifiedNameProblem(key.toLowerCase());
    if (problem !== undefined) causes.push(invalidValue('metadata.annotations', key, problem));
  }
  if (!isWithinAnnotationLimit(annotations))
    causes.push({
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${maxAnnotationBytes} bytes`,
      field: 'metadata.annotations',
    });
  return causes;
}

export function isWithinAnnotationLimit(annotations: unknown): boolean {
  const bytes = Object.entries(recordOf(annotations)).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(String(value)),
    0,
  );
  return bytes <= maxAnnotationBytes;
}

function validateOwners(owners: unknown): Cause[] {
  const causes: Cause[] = [];
  const controllers: string[] = [];
  for (const [index, owner] of listOf(owners).entries()) {
    if (!isRecord(owner)) continue;
    for (const field of ['apiVersion', 'kind', 'name', 'uid']) {
      if (typeof owner[field] !== 'string' || owner[field] === '')
        causes.push(
          invalidValue(`metadata.ownerReferences[${index}].${field}`, owner[field] ?? '', 'must not be empty'),
        );
    }
    if (owner['controller'] === true)
      controllers.push(`${stringAt(owner, 'apiVersion')}, Kind=${stringAt(owner, 'kind')}`);
  }
  if (controllers.length > 1) {
    causes.push(
      invalidValue(
        'metadata.ownerReferences',
        recordsOf(owners),
        `Only one reference can have Controller set to true. Found "true" in references for ${controllers[0]} and ` +
          `${controllers[1]}`,
      ),
    );
  }
  return causes;
}

function validateFinalizers(finalizers: unknown): Cause[] {
  const causes: Cause[] = [];
  const names = listOf(finalizers).map(String);
  for (const name of names) {
    const problem = qualifiedNameProblem(name);
    if (problem !== undefined) causes.push(invalidValue('metadata.finalizers', name, problem));
  }
  if (names.includes('foregroundDeletion') && names.includes('orphan'))
    causes.push(
      invalidValue('metadata.finalizers', names, 'finalizer orphan and foregroundDeletion cannot be both set'),
    );
  return causes;
}

/**
 * Refuses new finalizers on an object that is being deleted. Changes of immutable fields are not refused: the caller
 * restores the old values.
 */
export function validateMetaUpdate(
  object: { readonly metadata: JsonRecord },
  old: { readonly metadata: { readonly deletionTimestamp?: string; readonly finalizers?: readonly string[] } },
): Cause[] {
  if (old.metadata.deletionTimestamp === undefined) return [];
  const before = new Set(old.metadata.finalizers ?? []);
  const added = listOf(object.metadata['finalizers']).filter((name) => !before.has(String(name)));
  if (added.length === 0) return [];
  return [
    forbiddenValue(
      'metadata.finalizers',
      'no new finalizers can be added if the object is being deleted, found new finalizers ' +
        `[]string{${added.map((name) => JSON.stringify(name)).join(', ')}}`,
    ),
  ];
}
