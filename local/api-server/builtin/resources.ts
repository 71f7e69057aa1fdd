/**
 * The built-in resources that the API server of local mode (a Kubernetes cluster in one process) serves.
 * Owns: the table of resources. rules.ts has the behaviour of each kind, columns.ts has the columns that `kubectl get`
 * shows.
 */
import { present } from '../../../api/present.ts';
import type { Clock } from '../../../lib/clock.ts';
import { definitionRules } from '../crd/definition-rules.ts';
import { allVerbs, type Resource, type Rules, type ScalePaths } from '../resource.ts';
import { columnsOf } from './columns.ts';
import { eventConversion, eventRules, newEventRules } from './events.ts';
import {
  claimRules,
  configMapRules,
  controllerRevisionRules,
  deploymentRules,
  endpointSliceRules,
  endpointsRules,
  leaseRules,
  namespaceRules,
  nodeRules,
  plainRules,
  podRules,
  replicaSetRules,
  secretRules,
  serviceRules,
} from './rules.ts';
import { builtinSchema } from './schemas.ts';

type Row = {
  readonly definition: string;
  readonly group: string;
  readonly version?: string;
  readonly kind: string;
  readonly plural: string;
  readonly short?: readonly string[];
  readonly all?: boolean;
  readonly cluster?: boolean;
  readonly status?: boolean;
  readonly rules?: Rules;
  readonly table?: string;
  readonly scale?: ScalePaths;
  readonly conversion?: Resource['conversion'];
  readonly deprecation?: string;
  readonly verbs?: readonly string[];
};

const replicaScale: ScalePaths = {
  spec: ['spec', 'replicas'],
  status: ['status', 'replicas'],
  selector: ['spec', 'selector'],
};

const core = 'io.k8s.api.core.v1';
const apps = 'io.k8s.api.apps.v1';

/** The values that some resources need: the addresses of Services, and the time for the conditions of definitions. */
type BuiltinDeps = {
  readonly serviceRange: string;
  readonly takenAddresses: () => ReadonlySet<string>;
  readonly clock: Clock;
};

export function builtinResources(deps: BuiltinDeps): readonly Resource[] {
  // prettier-ignore
  const rows: readonly Row[] = [
    { definition: core, group: '', kind: 'Namespace', plural: 'namespaces',
      short: ['ns'], cluster: true, status: true, rules: namespaceRules },
    { definition: core, group: '', kind: 'Pod', plural: 'pods',
      short: ['po'], all: true, status: true, rules: podRules },
    { definition: core, group: '', kind: 'Service', plural: 'services', short: ['svc'],
      all: true, status: true, rules: serviceRules(deps.serviceRange, deps.takenAddresses) },
    { definition: core, group: '', kind: 'ConfigMap', plural: 'configmaps', short: ['cm'], rules: configMapRules },
    { definition: core, group: '', kind: 'Secret', plural: 'secrets', rules: secretRules },
    { definition: core, group: '', kind: 'ServiceAccount', plural: 'serviceaccounts', short: ['sa'] },
    { definition: core, group: '', kind: 'Event', plural: 'events', short: ['ev'], rules: eventRules, table: 'events' },
    { definition: core, group: '', kind: 'PersistentVolumeClaim',
      plural: 'persistentvolumeclaims', short: ['pvc'], status: true, rules: claimRules },
    { definition: core, group: '', kind: 'Node', plural: 'nodes',
      short: ['no'], cluster: true, status: true, rules: nodeRules },
    { definition: core, group: '', kind: 'Endpoints', plural: 'endpoints', short: ['ep'], rules: endpointsRules,
      deprecation: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice' },
    { definition: apps, group: 'apps', kind: 'Deployment', plural: 'deployments',
      short: ['deploy'], all: true, status: true, rules: deploymentRules, scale: replicaScale },
    { definition: apps, group: 'apps', kind: 'ReplicaSet', plural: 'replicasets',
      short: ['rs'], all: true, status: true, rules: replicaSetRules, scale: replicaScale },
    { definition: apps, group: 'apps', kind: 'ControllerRevision',
      plural: 'controllerrevisions', rules: controllerRevisionRules },
    { definition: 'io.k8s.api.discovery.v1', group: 'discovery.k8s.io',
      kind: 'EndpointSlice', plural: 'endpointslices', rules: endpointSliceRules },
    { definition: 'io.k8s.api.coordination.v1', group: 'coordination.k8s.io',
      kind: 'Lease', plural: 'leases', rules: leaseRules },
    { definition: 'io.k8s.api.events.v1', group: 'events.k8s.io', kind: 'Event', plural: 'events',
      short: ['ev'], rules: newEventRules, table: 'events', conversion: eventConversion },
    { definition: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1', group: 'apiextensions.k8s.io',
      kind: 'CustomResourceDefinition', plural: 'customresourcedefinitions', short: ['crd', 'crds'],
      cluster: true, status: true, rules: definitionRules(deps.clock) },
  ];
  return rows.map(resourceOf);
}

function resourceOf(row: Row): Resource {
  return {
    group: row.group,
    version: row.version ?? 'v1',
    kind: row.kind,
    plural: row.plural,
    singular: row.kind.toLowerCase(),
    listKind: `${row.kind}List`,
    shortNames: row.short ?? [],
    categories: row.all === true ? ['all'] : [],
    namespaced: row.cluster !== true,
    table: row.table ?? (row.group === '' ? row.plural : `${row.plural}.${row.group}`),
    schema: builtinSchema(`${row.definition}.${row.kind}`),
    definition: `${row.definition}.${row.kind}`,
    custom: false,
    hasStatus: row.status === true,
    columns: columnsOf(row.group, row.kind),
    rules: row.rules ?? plainRules,
    verbs: row.verbs ?? allVerbs,
    ...present({ scale: row.scale, conversion: row.conversion, deprecation: row.deprecation }),
  };
}
