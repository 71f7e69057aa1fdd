/**
 * A client that writes only while its process is the leader.
 * Owns: the check before every write. A process may be suspended until its lease is over: it was stopped or swapped
 * out, or its event loop was blocked. Without the check, such a process would continue its work and write.
 * Limits: a request that was sent cannot be recalled; resourceVersions protect objects from such late writes.
 */
import { AppError } from '../../api/errors.ts';
import type { KubeClient } from './kube-client.ts';

/**
 * @param isLeader called before every write
 * @throws AppError LEADERSHIP_LOST from writes when `isLeader` returns false
 */
export function fencedClient(client: KubeClient, isLeader: () => boolean): KubeClient {
  const fenced = <T>(write: () => Promise<T>): Promise<T> =>
    isLeader() ? write() : Promise.reject(new AppError('LEADERSHIP_LOST', undefined));
  return {
    get: (type, name, options) => client.get(type, name, options),
    list: (type, query, options) => client.list(type, query, options),
    watch: (type, query, signal) => client.watch(type, query, signal),
    create: (type, object, options) => fenced(() => client.create(type, object, options)),
    replace: (type, object, options) => fenced(() => client.replace(type, object, options)),
    apply: (type, object, options) => fenced(() => client.apply(type, object, options)),
    replaceStatus: (type, target, status, options) => fenced(() => client.replaceStatus(type, target, status, options)),
    patchMetadata: (type, target, change, options) => fenced(() => client.patchMetadata(type, target, change, options)),
    mergePatch: (type, name, patch, options) => fenced(() => client.mergePatch(type, name, patch, options)),
    delete: (type, name, options) => fenced(() => client.delete(type, name, options)),
  };
}
