/**
 * What CustomResourceDefinitions do on create and update, and their validation.
 * Owns: default names, the conditions Established and NamesAccepted, stored versions, the checks of schemas and rules.
 */
import type { Clock } from '../../../lib/clock.ts';
import type { StoredObject } from '../../objects.ts';
import {
  at,
  copyOf,
  isSame,
  listOf,
  recordIn,
  recordOf,
  recordsOf,
  setDefault,
  stringAt,
  type JsonRecord,
} from '../../../lib/json.ts';
import type { ObjectDraft, Rules } from '../resource.ts';
import { ruleProblems } from '../../../kube/schema/cel.ts';
import type { OpenApiSchema } from '../../../kube/schema/schema.ts';
import { invalidValue, requiredValue, unsupportedValue, type Cause } from '../../../kube/schema/cause.ts';
import { toTime } from '../times.ts';
import { structuralProblems } from '../../../kube/schema/structural.ts';

/** A finalizer that keeps a CustomResourceDefinition until its objects are deleted. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export function definitionRules(clock: Clock): Rules {
  return {
    hasGeneration: true,
    setDefaults(draft) {
      const spec = recordIn(draft, 'spec');
      const names = recordIn(spec, 'names');
      const kind = stringAt(names, 'kind') ?? '';
      setDefault(names, 'singular', kind.toLowerCase());
      setDefault(names, 'listKind', `${kind}List`);
      setDefault(spec, 'conversion', { strategy: 'None' });
    },
    beforeCreate(draft) {
      const finalizers = listOf(draft.metadata['finalizers']).map(String);
      draft.metadata['finalizers'] = [...finalizers.filter((name) => name !== cleanupFinalizer), cleanupFinalizer];
      draft['status'] = {
        conditions: [
          condition('NamesAccepted', 'NoConflicts', 'no conflicts found', clock),
          condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted', clock),
        ],
        acceptedNames: copyOf(at(draft, 'spec', 'names')),
        storedVersions: [storageVersion(draft)],
      };
    },
    beforeUpdate(draft, old) {
      const before = listOf(at(old, 'status', 'storedVersions')).map(String);
      const version = storageVersion(draft);
      draft['status'] = {
        ...copyOf(recordOf(draft['status'])),
        acceptedNames: copyOf(at(draft, 'spec', 'names')),
        storedVersions: before.includes(version) ? before : [...before, version],
      };
    },
    validate: validateDefinition,
  };
}

function condition(type: string, reason: string, message: string, clock: Clock): JsonRecord {
  return { type, status: 'True', lastTransitionTime: toTime(clock.now()), reason, message };
}

function storageVersion(draft: ObjectDraft): string {
  return (
    stringAt(
      recordsOf(at(draft, 'spec', 'versions')).find((version) => version['storage'] === true),
      'name',
    ) ?? ''
  );
}

function validateDefinition(draft: ObjectDraft, old: StoredObject | undefined): readonly Cause[] {
  return [
    ...validateNames(draft),
    ...validateVersions(draft),
    ...(old === undefined ? [] : validateChange(draft, old)),
  ];
}

const scopes = ['Cluster', 'Namespaced'];

function validateNames(draft: ObjectDraft): Cause[] {
  const name = stringAt(draft.metadata, 'name') ?? '';
  const group = stringAt(draft, 'spec', 'group') ?? '';
  const plural = stringAt(draft, 'spec', 'names', 'plural') ?? '';
  const missing = ['plural', 'kind'].filter((field) => (stringAt(draft, 'spec', 'names', field) ?? '') === '');
  const scope = stringAt(draft, 'spec', 'scope') ?? '';
  return [
    ...(name === `${plural}.${group}`
      ? []
      : [invalidValue('metadata.name', name, 'must be spec.names.plural+"."+spec.group')]),
    ...missing.map((field) => requiredValue(`spec.names.${field}`)),
    ...(scopes.includes(scope) ? [] : [unsupportedValue('spec.scope', scope, scopes)]),
  ];
}

function validateVersions(draft: ObjectDraft): Cause[] {
  const versions = recordsOf(at(draft, 'spec', 'versions'));
  const stored = versions.filter((version) => version['storage'] === true);
  const causes = versions.flatMap((version, index) => validateVersion(version, index, versions));
  if (stored.length !== 1)
    causes.push(
      invalidValue(
        'spec.versions',
        versions.map((version) => version['name']),
        'must have exactly one version marked as storage version',
      ),
    );
  return causes;
}

/**
 * The causes of an invalid schema. When all versions have the same schema, the path in the error names the old field
 * `spec.validation`, as on kube-apiserver.
 */
function validateVersion(version: JsonRecord, index: number, all: readonly JsonRecord[]): Cause[] {
  const schema = at(version, 'schema', 'openAPIV3Schema');
  if (schema === undefined) return [requiredValue(`spec.versions[${index}].schema.openAPIV3Schema`)];
  const isShared = all.every((other) => isSame(at(other, 'schema', 'openAPIV3Schema'), schema));
  if (isShared && index > 0) return [];
  const path = isShared ? 'spec.validation.openAPIV3Schema' : `spec.versions[${index}].schema.openAPIV3Schema`;
  const structural = structuralProblems(schema as OpenApiSchema, path);
  return structural.length > 0 ? structural : ruleProblems(schema as OpenApiSchema, path);
}

function validateChange(draft: ObjectDraft, old: StoredObject): Cause[] {
  return ['group', 'scope'].flatMap((field) => {
    const now = at(draft, 'spec', field);
    return isSame(now, at(old, 'spec', field)) ? [] : [invalidValue(`spec.${field}`, now, 'field is immutable')];
  });
}
