/**
 * What the operator asks of the API server: a closed table of resources and verbs.
 *
 * Owns: the table. The chart's roles (charts/onnx-operator/files/) and docs/reference/permissions.md are generated from
 * it. Tests compare it with the requests of the code and, on a real cluster, with the audit log.
 * Rule: a new request needs its row here first; `test/support/operator-of.ts` refuses requests without one.
 */
import { api } from '../api/names.ts';

export type KubeVerb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/**
 * `place`: `models` is every namespace with models, `lease` the namespace of the leader's Lease. `why`: one sentence
 * for the reference page. `isOnlyChecked`: no request uses the permission; an admission plugin asks for it.
 */
export type Permission = {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly KubeVerb[];
  readonly place: 'models' | 'lease';
  readonly why: string;
  readonly isOnlyChecked?: true;
};

const childVerbs: readonly KubeVerb[] = ['get', 'list', 'watch', 'create', 'patch', 'delete'];

function child(group: string, resource: string, why: string): Permission {
  return { group, resource, verbs: childVerbs, place: 'models', why };
}

export const permissions: readonly Permission[] = [
  { group: api.group, resource: api.plural, verbs: ['list', 'watch'], place: 'models', why: 'Reads the models.' },
  {
    group: api.group,
    resource: `${api.plural}/status`,
    verbs: ['update'],
    place: 'models',
    why: 'Writes the status of a model. The spec is never written.',
  },
  {
    group: api.group,
    resource: `${api.plural}/finalizers`,
    verbs: ['update'],
    place: 'models',
    why: 'Admission plugin OwnerReferencesPermissionEnforcement: children block the deletion of their model.',
    isOnlyChecked: true,
  },
  {
    group: '',
    resource: 'pods',
    verbs: ['list', 'watch', 'patch'],
    place: 'models',
    why: 'Reads pods; sets the label `onnx-operator.dev/serving` while two revisions share traffic by pods.',
  },
  child('', 'services', 'The entry Service of a model and a Service for each revision.'),
  child(
    '',
    'configmaps',
    "The configuration of each revision; `get` also reads golden sets, which have a user's names.",
  ),
  child('apps', 'deployments', 'A Deployment for each revision.'),
  child('apps', 'controllerrevisions', 'A record of each revision.'),
  child('gateway.networking.k8s.io', 'httproutes', 'The route of a model with `spec.traffic.router: HTTPRoute`.'),
  {
    group: 'gateway.networking.k8s.io',
    resource: 'gateways',
    verbs: ['list', 'watch'],
    place: 'models',
    why: "Reads a Gateway's listeners and address for the URL in the status.",
  },
  {
    group: 'events.k8s.io',
    resource: 'events',
    verbs: ['create', 'update'],
    place: 'models',
    why: 'Writes Events; `update` counts a repeated Event up.',
  },
  {
    group: 'coordination.k8s.io',
    resource: 'leases',
    verbs: ['get', 'create', 'update'],
    place: 'lease',
    why: 'Elects a leader, one for each shard.',
  },
];

/** @param resource plural, with the subresource after a slash */
export function isPermitted(group: string, resource: string, verb: KubeVerb): boolean {
  return permissions.some((row) => row.group === group && row.resource === resource && row.verbs.includes(verb));
}
