/**
 * The custom resource of the conformance suite: small, with one example of each schema feature that our definition
 * uses.
 */
import type { Json } from './api.ts';

const spec: Json = {
  type: 'object',
  required: ['size'],
  // prettier-ignore
  properties: {
    size: { type: 'string', enum: ['small', 'large'], description: 'How large it is.' },
    replicas: { type: 'integer', format: 'int32', minimum: 0, maximum: 10, default: 1 },
    note: { type: 'string', minLength: 2, maxLength: 20, pattern: '^[a-z]+$' },
    tags: { type: 'array', maxItems: 3, minItems: 1,
      'x-kubernetes-list-type': 'set', items: { type: 'string', maxLength: 10 } },
    parts: {
      type: 'array', maxItems: 5, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'],
      items: { type: 'object', required: ['name'],
        properties: { name: { type: 'string', maxLength: 10 },
          weight: { type: 'integer', default: 5 }, port: { 'x-kubernetes-int-or-string': true } } },
    },
    steps: { type: 'array', maxItems: 5, items: { type: 'object',
        properties: { weight: { type: 'integer' }, pause: { type: 'boolean' } } } },
    map: { type: 'object', maxProperties: 3, additionalProperties: { type: 'string', maxLength: 10 } },
    any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    nested: { type: 'object', properties: { a: { type: 'string', default: 'x' }, b: { type: 'string' } } },
    frozen: { type: 'string', maxLength: 10, 'x-kubernetes-validations': [
        { rule: 'self == oldSelf', message: 'frozen may not change' }] },
    memory: { type: 'string', maxLength: 20, 'x-kubernetes-validations': [
        { rule: 'isQuantity(self) && quantity(self).isGreaterThan(quantity("1Mi"))',
        message: 'memory is too small' }] },
    when: { type: 'string', format: 'date-time' },
    maybe: { type: 'string', nullable: true },
  },
  // prettier-ignore
  'x-kubernetes-validations': [
    { rule: "self.size == 'small' || self.replicas > 1", message: 'large ones need replicas' },
    { rule: '!has(self.steps) || self.steps.filter(s, has(s.weight)).map(s, s.weight).isSorted()',
      message: 'weights never decrease', fieldPath: '.steps' },
    { rule: "!has(self.note) || self.note != 'bad'",
      messageExpression: "'note is ' + self.note", reason: 'FieldValueForbidden' },
  ],
};

const status: Json = {
  type: 'object',
  properties: {
    observedGeneration: { type: 'integer', format: 'int64' },
    replicas: { type: 'integer' },
    selector: { type: 'string' },
    conditions: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status'],
        properties: { type: { type: 'string' }, status: { type: 'string' }, reason: { type: 'string' } },
      },
    },
  },
};

export function widgetDefinition(group: string, specSchema: Json = spec): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wg'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: [
            { name: 'Size', type: 'string', jsonPath: '.spec.size' },
            { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
            { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
            { name: 'Note', type: 'string', jsonPath: '.spec.note', priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
          schema: { openAPIV3Schema: { type: 'object', required: ['spec'], properties: { spec: specSchema, status } } },
        },
      ],
    },
  };
}
