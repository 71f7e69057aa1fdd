/**
 * What a request to an API server carries to show who sends it, and where that is read from.
 *
 * Owns:  the types that the readers of kubeconfigs share.
 */

export type AccessSource = {
  /** Absent: $KUBECONFIG, then ~/.kube/config, then the pod's service account. */
  readonly kubeconfig?: string;
  /** Absent: the file's current context. */
  readonly context?: string;
};

export type Credentials = {
  /** Authorization, Impersonate-User. Never logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
  /** An HTTP proxy on the way to the server. */
  readonly proxy?: string;
};

/** Options of node:tls, by their names there. */
export type TlsMaterial = Readonly<Record<string, unknown>>;
