/**
 * The API server's address and our credentials: kubeconfig files, in-cluster tokens, exec plugins, client certificates.
 * Owns: the only import of client-node's code, loaded on first use (half a second, 90 MB); results are plain headers
 * and TLS options.
 * Rule: credentials are read again every 10 s, because tokens rotate and certificates are renewed, and from scratch
 * after a 401.
 */
import type { RequestOptions } from 'node:https';
import type { Cluster, KubeConfig } from '@kubernetes/client-node';
import { AppError, messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';

export type Credentials = {
  /** Authorization, Impersonate-User. Never logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
  /** An HTTP proxy on the way to the server. */
  readonly proxy?: string;
};

/** Options of node:tls, under the same names. */
export type TlsMaterial = Readonly<Record<string, unknown>>;

export interface Access {
  /** Scheme, host, port and perhaps a path prefix, without a trailing slash. */
  readonly server: string;
  /** The namespace of the context, or of the pod. */
  readonly namespace: string | undefined;
  credentials(): Promise<Credentials>;
  /** Call it when the server refused the credentials; the next call of `credentials` reads them anew. */
  forget(): void;
}

export type AccessSource = {
  /** Absent: $KUBECONFIG, then ~/.kube/config, then the pod's service account. */
  readonly kubeconfig?: string;
  /** Absent: the file's current context. */
  readonly context?: string;
};

const rereadMs = 10_000;

/** @throws AppError BAD_CONFIG when there is no usable kubeconfig */
export async function loadAccess(source: AccessSource, clock: Clock): Promise<Access> {
  const client = await import('@kubernetes/client-node');
  const where = source.kubeconfig ?? 'kubeconfig';
  const load = (): KubeConfig => loadInto(new client.KubeConfig(), source, where);
  const config = load();
  const cluster = clusterOf(config, where);
  const credentials = new RereadCredentials({ load, where, proxy: proxyOf(cluster.proxyUrl, where), clock }, config);
  return {
    server: cluster.server.replace(/\/+$/, ''),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    credentials: () => credentials.get(),
    forget: () => credentials.forget(),
  };
}

function loadInto(config: KubeConfig, { kubeconfig, context }: AccessSource, where: string): KubeConfig {
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new AppError('BAD_CONFIG', { where, problem: messageOf(error) }, { cause: error });
  }
  if (context !== undefined) config.setCurrentContext(context);
  return config;
}

/** @throws AppError BAD_CONFIG when the context has no cluster, or when client-node made up a default one */
function clusterOf(config: KubeConfig, where: string): Cluster {
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new AppError('BAD_CONFIG', {
      where,
      problem: `context '${config.getCurrentContext()}' refers to a cluster that the file does not contain`,
    });
  // The default that client-node makes when it finds no configuration.
  if (config.getCurrentContext() === 'loaded-context') {
    throw new AppError('BAD_CONFIG', {
      where,
      problem:
        'none found: give --kubeconfig, set KUBECONFIG, write ~/.kube/config, or run in a pod with a service account',
    });
  }
  return cluster;
}

type CredentialsDeps = {
  readonly load: () => KubeConfig;
  readonly where: string;
  readonly proxy: string | undefined;
  readonly clock: Clock;
};

/** Credentials that are read again every `rereadMs`, and from a newly loaded file after `forget`. */
class RereadCredentials {
  readonly #deps: CredentialsDeps;
  #config: KubeConfig;
  #cached: { readonly at: number; readonly value: Promise<Credentials> } | undefined;
  #stale = false;

  constructor(deps: CredentialsDeps, config: KubeConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  get(): Promise<Credentials> {
    const { clock } = this.#deps;
    if (this.#cached === undefined || clock.monotonic() - this.#cached.at >= rereadMs) {
      const value = this.#read();
      // A failure is returned to every waiting caller and not cached: the next call tries again.
      value.catch(() => {
        this.#cached = undefined;
      });
      this.#cached = { at: clock.monotonic(), value };
    }
    return this.#cached.value;
  }

  forget(): void {
    this.#cached = undefined;
    this.#stale = true;
  }

  async #read(): Promise<Credentials> {
    const { load, where, proxy } = this.#deps;
    const options: RequestOptions = {};
    try {
      if (this.#stale) this.#config = load();
      this.#stale = false;
      await this.#config.applyToHTTPSOptions(options);
    } catch (error) {
      throw new AppError(
        'BAD_CONFIG',
        { where, problem: `no credentials: ${messageOf(error).trim()}` },
        { cause: error, kind: 'transient' },
      );
    }
    return { ...credentialsOf(options), ...(proxy === undefined ? {} : { proxy }) };
  }
}

/**
 * A server that needs no credentials except, perhaps, a few headers: local mode, and tests.
 * @param tls for example `ca`, the certificate to trust when the server has its own
 */
export function openAccess(
  server: string,
  headers: Readonly<Record<string, string>> = {},
  tls: TlsMaterial = {},
): Access {
  const credentials = { headers, tls };
  return {
    server: server.replace(/\/+$/, ''),
    namespace: undefined,
    credentials: () => Promise.resolve(credentials),
    forget: () => {},
  };
}

function proxyOf(url: string | undefined, where: string): string | undefined {
  if (url === undefined || url === '') return undefined;
  if (/^https?:/.test(url)) return url;
  throw new AppError('BAD_CONFIG', {
    where,
    problem: `proxy-url ${new URL(url).protocol} is not supported, use http: or https:`,
  });
}

function credentialsOf(options: RequestOptions): Credentials {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    // A token file often ends in a newline, which is not allowed in a header.
    if (value !== undefined) headers[name.toLowerCase()] = String(value).trim();
  }
  if (typeof options.auth === 'string')
    headers['authorization'] ??= `Basic ${Buffer.from(options.auth).toString('base64')}`;
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
  const given = Object.entries({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername }).filter(
    ([, value]) => value !== undefined,
  );
  return { headers, tls: Object.fromEntries(given) };
}
