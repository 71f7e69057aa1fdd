/**
 * A client that writes only while its owner leads.
 *
 * Owns: the check before every write. A process that slept through its lease (stopped, swapped out, a long
 *       pause of the event loop) would otherwise go on with the pass it was in the middle of.
 * Limits: a write that has been sent is not called back; resourceVersions guard against those.
 */
import { AppError } from '../../api/errors.ts';
import type { KubeClient } from './kube-client.ts';

/** @param isLeader asked before every write. @throws AppError LEADERSHIP_LOST from writes, when it says no */
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
