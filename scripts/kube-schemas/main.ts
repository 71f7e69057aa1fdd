/**
 * Rewrites local/api-server/builtin/schemas.json from the OpenAPI documents of a real API server.
 * Owns: which built-in types local mode (a Kubernetes cluster in one process) has, and which parts of their schemas are
 * stored: structure, list types and keys, and defaults. Descriptions and empty defaults ('', 0, false, {}) are not.
 * Run: by hand for a newer Kubernetes, with the project's Node: `kubectl proxy --port 8001`, then
 * `scripts/kube-schemas/main.ts http://127.0.0.1:8001`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

type Json = { [field: string]: unknown };

const roots: Readonly<Record<string, readonly string[]>> = {
  'api/v1': [
    'Namespace',
    'Pod',
    'Service',
    'ConfigMap',
    'Secret',
    'ServiceAccount',
    'Event',
    'PersistentVolumeClaim',
    'Node',
    'Endpoints',
  ].map((kind) => `io.k8s.api.core.v1.${kind}`),
  'apis/apps/v1': ['Deployment', 'ReplicaSet', 'ControllerRevision'].map((kind) => `io.k8s.api.apps.v1.${kind}`),
  'apis/discovery.k8s.io/v1': ['io.k8s.api.discovery.v1.EndpointSlice'],
  'apis/coordination.k8s.io/v1': ['io.k8s.api.coordination.v1.Lease'],
  'apis/events.k8s.io/v1': ['io.k8s.api.events.v1.Event'],
  'apis/authorization.k8s.io/v1': ['io.k8s.api.authorization.v1.SelfSubjectAccessReview'],
  'apis/authentication.k8s.io/v1': ['io.k8s.api.authentication.v1.SelfSubjectReview'],
  'apis/apiextensions.k8s.io/v1': ['io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition'],
};
const metaTypes = ['DeleteOptions', 'ObjectMeta', 'Status'].map(
  (kind) => `io.k8s.apimachinery.pkg.apis.meta.v1.${kind}`,
);

const prefix = '#/components/schemas/';
const kept = new Set([
  'type',
  'format',
  'properties',
  'items',
  'additionalProperties',
  'required',
  'oneOf',
  'enum',
  '$ref',
]);

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMeaningless(value: unknown): boolean {
  return value === '' || value === 0 || value === false || (isJson(value) && Object.keys(value).length === 0);
}

/**
 * Returns the schema with only the parts that are stored. OpenAPI writes a reference with a default as
 * `{ allOf: [{ $ref }], default }`. It becomes `{ $ref, default }`, or `{ $ref }` if the default is empty.
 */
function trim(schema: unknown): unknown {
  if (!isJson(schema)) return schema;
  const [wrapped] = Array.isArray(schema['allOf']) ? (schema['allOf'] as unknown[]) : [];
  if (isJson(wrapped)) return { ...(trim(wrapped) as Json), ...extensionsOf(schema) };
  const out: Json = {};
  for (const [name, value] of Object.entries(schema)) {
    if (name === 'properties')
      out[name] = Object.fromEntries(Object.entries(value as Json).map(([field, inner]) => [field, trim(inner)]));
    else if (name === 'items' || name === 'additionalProperties') out[name] = trim(value);
    else if (name === '$ref') out[name] = String(value).slice(prefix.length);
    else if (kept.has(name)) out[name] = value;
  }
  return { ...out, ...extensionsOf(schema) };
}

function extensionsOf(schema: Json): Json {
  const entries = Object.entries(schema).filter(([name, value]) =>
    name === 'default'
      ? !isMeaningless(value)
      : name.startsWith('x-kubernetes-') && name !== 'x-kubernetes-group-version-kind',
  );
  return Object.fromEntries(entries);
}

function referencesIn(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(referencesIn);
  if (!isJson(schema)) return [];
  return Object.entries(schema).flatMap(([name, value]) => (name === '$ref' ? [String(value)] : referencesIn(value)));
}

async function main(server: string): Promise<void> {
  const found = new Map<string, unknown>();
  for (const [path, names] of Object.entries(roots)) {
    const document = (await (await fetch(`${server}/openapi/v3/${path}`)).json()) as { components: { schemas: Json } };
    const queue = [...names, ...metaTypes];
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const schema = document.components.schemas[name];
      if (found.has(name) || schema === undefined) continue;
      const trimmed = trim(schema);
      found.set(name, trimmed);
      queue.push(...referencesIn(trimmed));
    }
  }
  const version = (await (await fetch(`${server}/version`)).json()) as { gitVersion: string };
  const lines = [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, schema]) => `${JSON.stringify(name)}: ${JSON.stringify(schema)}`);
  const comment =
    '"$comment": ' +
    `${JSON.stringify(
      `Structure of built-in types of Kubernetes ${version.gitVersion} (Apache-2.0), written by ` +
        'scripts/kube-schemas',
    )}`;
  await writeFile(
    join(import.meta.dirname, '../../local/api-server/builtin/schemas.json'),
    `{\n${[comment, ...lines].join(',\n')}\n}\n`,
  );
}

const [server] = process.argv.slice(2);
if (server === undefined) {
  process.stderr.write('usage: scripts/kube-schemas/main.ts URL-OF-KUBECTL-PROXY\n');
  process.exit(2);
}
await main(server);
