/**
 * Discovery: the list of served resources, as plain lists and in the aggregated form that kubectl prefers.
 * Pure: the list is computed for each request from the catalogue of served resources, which is small.
 */
import { groupVersionOf, type Resource } from '../resource.ts';
import type { JsonRecord } from '../../../lib/json.ts';
import { reviews } from './reviews.ts';

type Version = { readonly version: string; readonly resources: readonly Resource[] };

/** Every group with its versions and their resources. The name of the core group is ''. */
export function groupsOf(resources: readonly Resource[]): ReadonlyMap<string, readonly Version[]> {
  const groups = new Map<string, Map<string, Resource[]>>();
  const versionsOf = (group: string): Map<string, Resource[]> => {
    const found = groups.get(group) ?? new Map<string, Resource[]>();
    groups.set(group, found);
    return found;
  };
  for (const resource of resources) {
    const versions = versionsOf(resource.group);
    versions.set(resource.version, [...(versions.get(resource.version) ?? []), resource]);
  }
  for (const { group } of reviews) {
    const versions = versionsOf(group);
    if (!versions.has('v1')) versions.set('v1', []);
  }
  return new Map(
    [...groups].map(([group, versions]) => [
      group,
      [...versions].map(([version, list]) => ({ version, resources: list })),
    ]),
  );
}

export function isAggregated(accept: string): 'v2' | 'v2beta1' | undefined {
  const ranges = accept.split(',').filter((range) => range.includes('as=APIGroupDiscoveryList'));
  if (ranges.some((range) => /v=v2(;|$)/.test(range.trim()))) return 'v2';
  return ranges.some((range) => range.includes('v=v2beta1')) ? 'v2beta1' : undefined;
}

export function aggregatedType(version: string): string {
  return `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
}

/** @param isCore true for `/api`; false for `/apis`, which has every other group */
export function aggregated(resources: readonly Resource[], version: string, isCore: boolean): JsonRecord {
  const groups = [...groupsOf(resources)].filter(([group]) => (group === '') === isCore);
  const items = groups.map(([group, versions]) => ({
    metadata: group === '' ? { creationTimestamp: null } : { name: group, creationTimestamp: null },
    versions: versions.map((one) => ({
      version: one.version,
      resources: [...one.resources.map(discovered), ...reviewsOf(group).map(discoveredReview)],
      freshness: 'Current',
    })),
  }));
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items };
}

function discovered(resource: Resource): JsonRecord {
  return {
    resource: resource.plural,
    responseKind: kindOf(resource),
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
    ...withSubresources(resource),
  };
}

function kindOf(resource: Resource): JsonRecord {
  return { group: resource.group, version: resource.version, kind: resource.kind };
}

const scaleKind = { group: 'autoscaling', version: 'v1', kind: 'Scale' };
const subresourceVerbs = ['get', 'patch', 'update'];

type Subresource = { readonly name: string; readonly kind: JsonRecord; readonly verbs: readonly string[] };

const podSubresources: readonly Subresource[] = [
  { name: 'log', kind: { group: '', version: 'v1', kind: 'Pod' }, verbs: ['get'] },
  { name: 'portforward', kind: { group: '', version: 'v1', kind: 'PodPortForwardOptions' }, verbs: ['create', 'get'] },
];

function subresourcesOf(resource: Resource): readonly Subresource[] {
  return [
    ...(resource.hasStatus ? [{ name: 'status', kind: kindOf(resource), verbs: subresourceVerbs }] : []),
    ...(resource.scale === undefined ? [] : [{ name: 'scale', kind: scaleKind, verbs: subresourceVerbs }]),
    ...(resource.table === 'pods' ? podSubresources : []),
  ];
}

function withSubresources(resource: Resource): JsonRecord {
  const all = subresourcesOf(resource).map(({ name, kind, verbs }) => ({
    subresource: name,
    responseKind: kind,
    verbs,
  }));
  return all.length === 0 ? {} : { subresources: all };
}

function reviewsOf(group: string): readonly (typeof reviews)[number][] {
  return reviews.filter((review) => review.group === group);
}

function discoveredReview(review: (typeof reviews)[number]): JsonRecord {
  return {
    resource: review.plural,
    responseKind: { group: review.group, version: 'v1', kind: review.kind },
    scope: 'Cluster',
    singularResource: review.kind.toLowerCase(),
    verbs: ['create'],
  };
}

export function apiVersions(): JsonRecord {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
}

export function groupList(resources: readonly Resource[]): JsonRecord {
  const groups = [...groupsOf(resources)]
    .filter(([group]) => group !== '')
    .map(([group, versions]) => groupOf(group, versions));
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

export function group(resources: readonly Resource[], name: string): JsonRecord | undefined {
  const versions = groupsOf(resources).get(name);
  return versions === undefined || name === ''
    ? undefined
    : { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(name, versions) };
}

function groupOf(name: string, versions: readonly Version[]): JsonRecord {
  const all = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: all, preferredVersion: all[0] };
}

/** @param apiVersion `v1` or `group/version` */
export function resourceList(resources: readonly Resource[], apiVersion: string): JsonRecord | undefined {
  const found = resources.filter((resource) => groupVersionOf(resource) === apiVersion);
  const answered = reviews.filter((review) => `${review.group}/v1` === apiVersion);
  if (found.length === 0 && answered.length === 0) return undefined;
  const reviewed = answered.map((review) => ({
    name: review.plural,
    singularName: review.kind.toLowerCase(),
    namespaced: false,
    kind: review.kind,
    verbs: ['create'],
  }));
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersion,
    resources: [...found.flatMap(plainResources), ...reviewed],
  };
}

function plainResources(resource: Resource): JsonRecord[] {
  const { plural, namespaced, kind } = resource;
  const own = {
    name: plural,
    singularName: resource.singular,
    namespaced,
    kind,
    verbs: resource.verbs,
    ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
  };
  const below = subresourcesOf(resource).map((one) => ({
    name: `${plural}/${one.name}`,
    singularName: '',
    namespaced,
    ...(one.name === 'scale' ? scaleKind : { kind: one.kind['kind'] ?? kind }),
    verbs: one.verbs,
  }));
  return [own, ...below];
}
