/**
 * The API server that the user's kubeconfig names, with the user's own credentials.
 * Owns: which API errors are not retried for a user.
 * Limits: 30 s for a request; kube/client limits the size of answers. Idle connections do not keep the process alive.
 * Throws: BAD_CONFIG without a usable kubeconfig; otherwise the errors of kube/client.
 */
import { AppError } from '../../api/errors.ts';
import { present } from '../../api/present.ts';
import { systemClock } from '../../lib/clock.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { loadAccess } from '../../kube/client/access.ts';
import { HttpKubeClient } from '../../kube/client/http-client.ts';
import { isForbidden, isUnauthorized } from '../../kube/client/kube-error.ts';

export type ClusterChoice = {
  /**
   * Path of the kubeconfig. Absent: $KUBECONFIG, then ~/.kube/config, then the service account of the pod that runs the
   * command.
   */
  readonly kubeconfig?: string | undefined;
  /** Name of a context. Absent: the current context of the kubeconfig. */
  readonly context?: string | undefined;
};

/** The requests that the commands make. */
export type UserClient = Pick<HttpKubeClient, 'list' | 'watch' | 'mergePatch' | 'jsonPatch'>;

export type Cluster = {
  /** The namespace of the context, or "default". */
  readonly namespace: string;
  readonly client: UserClient;
};

const deadlineMs = 30_000;

/** @throws AppError BAD_CONFIG when no usable kubeconfig exists */
export async function openCluster({ kubeconfig, context }: ClusterChoice): Promise<Cluster> {
  const access = await loadAccess(present({ kubeconfig, context }), systemClock);
  const client = new HttpKubeClient({
    access,
    clock: systemClock,
    registry: createRegistry(),
    name: 'kubectl-onnx',
    deadlineMs,
  });
  return { namespace: access.namespace ?? 'default', client: asUser(client) };
}

/** The same client, except that its errors about missing permissions and bad credentials have the kind `invalid`. */
export function asUser(client: UserClient): UserClient {
  const explained = (error: unknown): never => {
    throw toUser(error);
  };
  return {
    list: (type, query, options) => client.list(type, query, { deadlineMs, ...options }).catch(explained),
    mergePatch: (type, name, patch, options) => client.mergePatch(type, name, patch, options).catch(explained),
    jsonPatch: (type, name, operations, options) => client.jsonPatch(type, name, operations, options).catch(explained),
    watch: async function* (type, query, signal) {
      try {
        yield* client.watch(type, query, signal);
      } catch (error) {
        explained(error);
      }
    },
  };
}

/**
 * Changes the kind of an error about missing permissions or bad credentials. The operator retries such an error, but a
 * user has to fix its cause.
 */
function toUser(error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const isForUser = isForbidden(error) || isUnauthorized(error) || error.code === 'BAD_CONFIG';
  return isForUser ? new AppError(error.code, error.params, { cause: error, kind: 'invalid' }) : error;
}
