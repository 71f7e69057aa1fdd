/** The table of permissions, against the types that the code reads and writes, and against the files of the chart. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { childTypes, gateways, onnxModels, pods } from '../../../kube/kinds.ts';
import { isPermitted, permissions, type KubeVerb } from '../../../kube/permissions.ts';
import { MemoryKube } from '../../support/memory-kube.ts';
import { permittedClient } from '../../support/permitted-client.ts';

const chart = join(import.meta.dirname, '..', '..', '..', 'charts', 'onnx-operator');
type Rule = { readonly apiGroups: string[]; readonly resources: string[]; readonly verbs: string[] };
const rulesIn = (file: string): readonly Rule[] => parse(readFileSync(join(chart, 'files', file), 'utf8')) as Rule[];

describe('the permissions of the operator', () => {
  it('let it watch every type of its caches, and write every type of child', () => {
    const watched = [onnxModels, pods, gateways, ...childTypes];
    for (const { group, plural } of watched)
      for (const verb of ['list', 'watch'] as const) assert.ok(isPermitted(group, plural, verb), `${verb} ${plural}`);
    for (const { group, plural } of childTypes)
      for (const verb of ['get', 'create', 'patch', 'delete'] as const)
        assert.ok(isPermitted(group, plural, verb), `${verb} ${plural}`);
  });

  it('exclude Secrets, exec, the spec of models, roles, and wildcards', () => {
    const verbs: readonly KubeVerb[] = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'];
    for (const resource of ['secrets', 'pods/exec', 'pods/portforward', 'pods/log', 'serviceaccounts/token'])
      for (const verb of verbs) assert.ok(!isPermitted('', resource, verb), `${verb} ${resource}`);
    for (const verb of ['create', 'update', 'patch', 'delete'] as const)
      assert.ok(!isPermitted(onnxModels.group, onnxModels.plural, verb), verb);
    assert.deepEqual(
      permissions.filter(({ group, resource }) => /\*|rbac|clusterrole/.test(group + resource)),
      [],
    );
  });

  it('name each resource once', () => {
    const names = permissions.map(({ group, resource, place }) => `${group} ${resource} ${place}`);
    assert.equal(new Set(names).size, names.length);
  });

  it('are the rules of the chart', () => {
    for (const place of ['models', 'lease'] as const) {
      const wanted = permissions.filter((row) => row.place === place);
      assert.deepEqual(
        rulesIn(`rules-${place}.yaml`),
        wanted.map(({ group, resource, verbs }) => ({ apiGroups: [group], resources: [resource], verbs: [...verbs] })),
      );
    }
  });

  it('are what the client of the stories enforces', async () => {
    const client = permittedClient(new MemoryKube());
    const name = { namespace: 'ml', name: 'x' };
    await assert.rejects(client.delete(pods, name), /no row for delete pods/);
    await assert.rejects(client.get(onnxModels, name), /no row for get onnxmodels/);
  });
});
