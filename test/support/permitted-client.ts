/**
 * A client that refuses requests without a row in kube/permissions.ts, as an API server with the chart's roles
 * does. An apply is a PATCH and may create the object; a replaceStatus is an update of the subresource.
 */
import { isPermitted, type KubeVerb } from '../../kube/permissions.ts';
import { statusError } from '../../kube/client/kube-error.ts';
import type { KubeClient } from '../../kube/client/kube-client.ts';
import type { ResourceType } from '../../kube/client/resource-type.ts';

export function permittedClient(client: KubeClient): KubeClient {
  const check = ({ group, plural }: ResourceType, verb: KubeVerb, subresource = ''): void => {
    if (isPermitted(group, plural + subresource, verb)) return;
    const message = `kube/permissions.ts has no row for ${verb} ${plural}${subresource} of group '${group}'`;
    throw statusError({ status: 403, reason: 'Forbidden', message });
  };
  return {
    get: async (type, ...rest) => {
      check(type, 'get');
      return client.get(type, ...rest);
    },
    list: async (type, ...rest) => {
      check(type, 'list');
      return client.list(type, ...rest);
    },
    watch: (type, ...rest) => {
      check(type, 'watch');
      return client.watch(type, ...rest);
    },
    create: async (type, ...rest) => {
      check(type, 'create');
      return client.create(type, ...rest);
    },
    replace: async (type, ...rest) => {
      check(type, 'update');
      return client.replace(type, ...rest);
    },
    apply: async (type, ...rest) => {
      check(type, 'patch');
      return client.apply(type, ...rest);
    },
    replaceStatus: async (type, ...rest) => {
      check(type, 'update', '/status');
      return client.replaceStatus(type, ...rest);
    },
    patchMetadata: async (type, ...rest) => {
      check(type, 'patch');
      return client.patchMetadata(type, ...rest);
    },
    mergePatch: async (type, ...rest) => {
      check(type, 'patch');
      return client.mergePatch(type, ...rest);
    },
    delete: async (type, ...rest) => {
      check(type, 'delete');
      return client.delete(type, ...rest);
    },
  };
}
