/**
 * The API server that the user's kubeconfig names, with the user's own credentials.
 * Owns: which API errors are not retried for a user. Limits: 30 s for a request; kube/client bounds the answers. Idle
 * connections do not keep the process alive.
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
  /** Absent: $KUBECONFIG, then ~/.kube/config, then the pod's service account. */
  readonly kubeconfig?: string | undefined;
  /** Absent: the file's current context. */
  readonly context?: string | undefined;
};

/** The requests that the commands make. */
export type UserClient = Pick<HttpKubeClient, 'list' | 'watch' | 'mergePatch' | 'jsonPatch'>;

export type Cluster = {
  /** The context's namespace, or "default". */
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

/** The same client, except that missing permissions and bad credentials have the kind `invalid`. */
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

/** Missing permissions and bad credentials: the operator retries them, a user has to fix them. */
function toUser(error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  const isForUser = isForbidden(error) || isUnauthorized(error) || error.code === 'BAD_CONFIG';
  return isForUser ? new AppError(error.code, error.params, { cause: error, kind: 'invalid' }) : error;
}
