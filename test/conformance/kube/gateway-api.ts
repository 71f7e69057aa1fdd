/**
 * Installs the Gateway API's definitions on a server that does not have them, because they are not part of Kubernetes.
 * Owns: installing them, waiting until they are served, and removing what was installed. Definitions that the server
 * already has are not changed.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import type { Json, KubeApi } from './api.ts';

/** The definitions that gateway controllers install. Local mode serves only some of them. */
const folders = {
  whole: new URL('../../fixtures/gateway-api/', import.meta.url),
  local: new URL('../../../local/gateway/definitions/', import.meta.url),
};
export type GatewayApi = keyof typeof folders;

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
/**
 * A path that shows whether the server has the type: it answers 404 for an unknown type, even in a missing namespace.
 */
const pathOf = (plural: string): string => `/apis/gateway.networking.k8s.io/v1/namespaces/default/${plural}`;

/** @returns a function that removes the installed definitions */
export async function installGatewayApi(api: KubeApi, which: GatewayApi): Promise<() => Promise<void>> {
  const made: string[] = [];
  for (const plural of ['gateways', 'httproutes']) {
    if ((await api.get(pathOf(plural))).status !== 404) continue;
    const definition = parse(readFileSync(new URL(`${plural}.yaml`, folders[which]), 'utf8')) as Json;
    const answer = await api.post(definitions, definition);
    if (answer.status !== 201) throw new Error(answer.text);
    made.push(`${definitions}/${definition.metadata.name}`);
    await eventually(`${plural} to be served`, async () => (await api.get(pathOf(plural))).status === 200);
  }
  return async () => {
    for (const path of made) {
      await api.delete(path);
      await eventually(`${path} to be gone`, async () => (await api.get(path)).status === 404);
    }
  };
}
