/**
 * The Gateway API's definitions on a server that lacks them: they are no part of Kubernetes.
 *
 * Owns: putting them there, until the server serves them, and taking away again what was put there. What the server has
 *       already, a cluster's own or local mode's, is left as it is.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { eventually } from '../../support/eventually.ts';
import type { Json, KubeApi } from './api.ts';

/** What gateway controllers install, and the part of it that local mode serves. */
const folders = {
  whole: new URL('../../fixtures/gateway-api', import.meta.url),
  local: new URL('../../../local/gateway/definitions', import.meta.url),
};
export type GatewayApi = keyof typeof folders;

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
/** Unknown types are asked for by path, so a namespace that is not there does. */
const pathOf = (plural: string): string => `/apis/gateway.networking.k8s.io/v1/namespaces/default/${plural}`;

/** @returns what takes away the definitions that were put there */
export async function installGatewayApi(api: KubeApi, which: GatewayApi): Promise<() => Promise<void>> {
  const made: string[] = [];
  for (const plural of ['gateways', 'httproutes']) {
    if ((await api.get(pathOf(plural))).status !== 404) continue;
    const definition = parse(readFileSync(new URL(`${plural}.yaml`, folders[which]), 'utf8')) as Json;
    const answer = await api.post(definitions, definition);
    if (answer.status !== 201) throw new Error(answer.text);
    made.push(`${definitions}/${definition.metadata.name}`);
    await eventually(`${plural} to be served`, async () => (await api.get(pathOf(plural))).status === 200, 30_000);
  }
  return async () => {
    for (const path of made) {
      await api.delete(path);
      await eventually(`${path} to be gone`, async () => (await api.get(path)).status === 404, 60_000);
    }
  };
}
