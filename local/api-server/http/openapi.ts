/**
 * OpenAPI v3 documents, which `kubectl apply` and `kubectl explain` read.
 * Owns: one document per group and version. A document is cached until the served resources (the catalogue) change, and
 * its URL contains the hash of its text.
 */
import { createHash } from 'node:crypto';
import { definitions } from '../builtin/schemas.ts';
import type { Catalog } from '../catalog.ts';
import { isRecord } from '../../../api/record.ts';
import { type JsonRecord } from '../../../lib/json.ts';
import { groupVersionOf, type Resource } from '../resource.ts';

const objectMeta = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const prefix = '#/components/schemas/';

/**
 * The description of every built-in type that has fields. schemas.json has the fields of these types, but not their
 * descriptions.
 */
const builtinPart =
  'A type of Kubernetes itself. Its fields are described at https://kubernetes.io/docs/reference/kubernetes-api/';

type Document = { readonly text: string; readonly hash: string };

export class OpenApi {
  readonly #catalog: Catalog;
  #generation = -1;
  #documents: ReadonlyMap<string, Document> = new Map();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  index(): JsonRecord {
    const entries = [...this.#current()].map(([path, document]) => [
      path,
      { serverRelativeURL: `/openapi/v3/${path}?hash=${document.hash}` },
    ]);
    return { paths: Object.fromEntries(entries) };
  }

  /** @param path `api/v1` or `apis/group/version` */
  document(path: string): string | undefined {
    return this.#current().get(path)?.text;
  }

  #current(): ReadonlyMap<string, Document> {
    if (this.#generation === this.#catalog.generation) return this.#documents;
    const byPath = Map.groupBy(
      this.#catalog.all(),
      (resource) => `${resource.group === '' ? 'api' : 'apis'}/${groupVersionOf(resource)}`,
    );
    this.#documents = new Map([...byPath].map(([path, resources]) => [path, documentOf(path, resources)]));
    this.#generation = this.#catalog.generation;
    return this.#documents;
  }
}

function documentOf(path: string, resources: readonly Resource[]): Document {
  const schemas: JsonRecord = {};
  addDefinition(schemas, objectMeta);
  for (const resource of resources) schemas[definitionOf(resource)] = schemaOf(schemas, resource);
  const text = JSON.stringify({
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.35.0' },
    paths: Object.assign({}, ...resources.map((resource) => pathsOf(path, resource))),
    components: { schemas },
  });
  return { text, hash: createHash('sha256').update(text).digest('hex').toUpperCase() };
}

/** The name of a type, `com.example.demo.v1.Widget`: the parts of the group are in reverse order. */
function definitionOf(resource: Resource): string {
  return resource.definition ?? [...resource.group.split('.').reverse(), resource.version, resource.kind].join('.');
}

function schemaOf(schemas: JsonRecord, resource: Resource): JsonRecord {
  const named = {
    'x-kubernetes-group-version-kind': [{ group: resource.group, version: resource.version, kind: resource.kind }],
  };
  if (resource.definition !== undefined) {
    addDefinition(schemas, resource.definition);
    return { ...(schemas[resource.definition] as JsonRecord), ...named };
  }
  const described = {
    apiVersion: { type: 'string', description: 'The version of the schema that this object is written in.' },
    kind: { type: 'string', description: 'The type of this object.' },
    metadata: { allOf: [{ $ref: `${prefix}${objectMeta}` }], description: "Standard object's metadata." },
  };
  return {
    type: 'object',
    ...resource.schema,
    properties: { ...described, ...withoutKeys(resource.schema.properties ?? {}, Object.keys(described)) },
    ...named,
  };
}

function withoutKeys(record: Readonly<Record<string, unknown>>, keys: readonly string[]): JsonRecord {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
}

function addDefinition(schemas: JsonRecord, name: string): void {
  const definition = definitions[name];
  if (schemas[name] !== undefined || definition === undefined) return;
  schemas[name] = {};
  const linkedDefinition = linked(schemas, definition) as JsonRecord;
  schemas[name] = isRecord(definition['properties'])
    ? { description: builtinPart, ...linkedDefinition }
    : linkedDefinition;
}

/** Converts the references in `node` to OpenAPI's form, and adds the types that the references name to `schemas`. */
function linked(schemas: JsonRecord, node: unknown): unknown {
  if (Array.isArray(node)) return node.map((item) => linked(schemas, item));
  if (!isRecord(node)) return node;
  const { $ref: reference, ...rest } = node;
  const out = Object.fromEntries(Object.entries(rest).map(([field, value]) => [field, linked(schemas, value)]));
  if (typeof reference !== 'string') return out;
  addDefinition(schemas, reference);
  const link = { $ref: `${prefix}${reference}` };
  return Object.keys(out).length === 0 ? link : { allOf: [link], ...out };
}

const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
}));

function pathsOf(path: string, resource: Resource): JsonRecord {
  const scope = resource.namespaced ? '/namespaces/{namespace}' : '';
  const collection = `/${path}${scope}/${resource.plural}`;
  const kind = { group: resource.group, version: resource.version, kind: resource.kind };
  const operation = (action: string, parameters: readonly unknown[] = []): JsonRecord => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kind,
    parameters,
    responses: { 200: { description: 'OK' } },
  });
  return {
    [collection]: {
      get: operation('list'),
      post: operation('post', writeParameters),
      delete: operation('deletecollection'),
    },
    [`${collection}/{name}`]: {
      get: operation('get'),
      put: operation('put', writeParameters),
      patch: operation('patch', [
        ...writeParameters,
        { name: 'force', in: 'query', schema: { type: 'boolean', uniqueItems: true } },
      ]),
      delete: operation('delete'),
    },
  };
}
