/**
 * Events, which are stored once and served by two APIs. They are stored with the fields of core/v1; some fields have
 * other names in events.k8s.io/v1.
 * Pure.
 */
import { copyOf, recordOf, setDefault, stringAt, type JsonRecord } from '../../../lib/json.ts';
import type { StoredObject } from '../../objects.ts';
import type { ObjectDraft, Resource, Rules } from '../resource.ts';
import { invalidValue, requiredValue, type Cause } from '../../../kube/schema/cause.ts';

/** Field of core/v1 → field of events.k8s.io/v1. All other fields have the same name in both APIs. */
const renamed: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

export const eventConversion: NonNullable<Resource['conversion']> = {
  shown(stored) {
    const event = { ...rename(stored, renamed), apiVersion: 'events.k8s.io/v1' };
    // events.k8s.io/v1 omits reportingController and reportingInstance when they are empty.
    const entries = Object.entries(event).filter(([field, value]) => !(field.startsWith('reporting') && value === ''));
    return Object.fromEntries(entries) as unknown as StoredObject;
  },
  stored: (draft) =>
    ({
      ...rename(
        draft,
        renamed.map(([old, now]) => [now, old] as const),
      ),
      apiVersion: 'v1',
    }) as unknown as ObjectDraft,
};

function rename(object: JsonRecord | StoredObject, names: readonly (readonly [string, string])[]): JsonRecord {
  const out: JsonRecord = { ...object };
  for (const [from] of names) delete out[from];
  for (const [from, to] of names) {
    const value = (object as JsonRecord)[from];
    if (value !== undefined) out[to] = copyOf(value);
  }
  return out;
}

export const eventRules: Rules = {
  hasGeneration: false,
  // Go's encoder always writes these fields of an Event, even when they are empty.
  setDefaults(draft) {
    for (const field of ['source', 'involvedObject']) setDefault(draft, field, {});
    for (const field of ['firstTimestamp', 'lastTimestamp', 'eventTime'])
      if (draft[field] === undefined) draft[field] = null;
    for (const field of ['reportingComponent', 'reportingInstance']) setDefault(draft, field, '');
  },
  validate: validateEvent,
  selectable: (event) => {
    const involved = recordOf(event['involvedObject']);
    const named = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((field) => [
      `involvedObject.${field}`,
      stringAt(involved, field) ?? '',
    ]);
    const source = stringAt(event, 'source', 'component') ?? stringAt(event, 'reportingComponent') ?? '';
    return {
      ...Object.fromEntries(named),
      reason: stringAt(event, 'reason') ?? '',
      type: stringAt(event, 'type') ?? '',
      reportingComponent: stringAt(event, 'reportingComponent') ?? '',
      source,
    };
  },
};

/** Rules for Events that are written through events.k8s.io/v1, which requires more fields than core/v1. */
export const newEventRules: Rules = {
  ...eventRules,
  validate(draft, old) {
    if (old !== undefined) return validateEvent(draft);
    const type = stringAt(draft, 'type') ?? '';
    const missing =
      stringAt(draft, 'eventTime') === undefined
        ? ['eventTime']
        : ['reportingComponent', 'reportingInstance', 'action', 'reason'].filter(
            (field) => (stringAt(draft, field) ?? '') === '',
          );
    return [
      ...missing.map((field) => requiredValue(field === 'reportingComponent' ? 'reportingController' : field)),
      ...(['Normal', 'Warning'].includes(type) ? [] : [invalidValue('type', type, `has invalid value: ${type}`)]),
      ...validateEvent(draft),
    ];
  },
};

function validateEvent(draft: ObjectDraft): readonly Cause[] {
  const involved = stringAt(draft, 'involvedObject', 'namespace') ?? '';
  const own = stringAt(draft.metadata, 'namespace') ?? '';
  // An Event about a cluster-scoped object is in the namespace `default`.
  const fits = involved === '' ? own === 'default' : involved === own;
  return fits ? [] : [invalidValue('involvedObject.namespace', involved, 'does not match event.namespace')];
}
