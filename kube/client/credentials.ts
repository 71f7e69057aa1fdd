/**
 * The credentials of requests to an API server, and the options that name their source.
 *
 * Owns: the types that the readers of kubeconfigs share.
 */

export type AccessSource = {
  /**
   * Path of the kubeconfig file. If absent: $KUBECONFIG if it is set, else ~/.kube/config if it exists, else the pod's
   * service account.
   */
  readonly kubeconfig?: string;
  /** Name of the context. If absent, the file's current context is used. */
  readonly context?: string;
};

export type Credentials = {
  /** The headers Authorization and Impersonate-User. They are never logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
  /** The URL of an HTTP proxy for connections to the server. */
  readonly proxy?: string;
};

/** Options of node:tls, under the same names. */
export type TlsMaterial = Readonly<Record<string, unknown>>;
