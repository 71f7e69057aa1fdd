/**
 * The API server's address and our credentials: kubeconfig files, in-cluster tokens, exec plugins, client certificates.
 * Owns: the only import of client-node (the package @kubernetes/client-node). Loading it costs half a second and 80
 * MiB, so it is loaded only for a kubeconfig that needs it; plain-access.ts reads all other kubeconfigs. Results are
 * plain headers and TLS options.
 * Rule: credentials are read again every 10 s, because tokens rotate. After a 401 the kubeconfig is loaded again, too.
 */
import type { RequestOptions } from 'node:https';
import type { Cluster, KubeConfig } from '@kubernetes/client-node';
import { AppError, messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { AccessSource, Credentials, TlsMaterial } from './credentials.ts';
import { plainAccess } from './plain-access.ts';

export interface ClusterAccess {
  /** Scheme, host, port and perhaps a path prefix, without a trailing slash. */
  readonly server: string;
  /** The namespace of the context, or of the pod. */
  readonly namespace: string | undefined;
  credentials(): Promise<Credentials>;
  /** Call this method when the server refused the credentials; the next `credentials` reloads the kubeconfig. */
  forget(): void;
}

const rereadMs = 10_000;

/** The parts of a kubeconfig that stay the same, and a function that reads its credentials, which may change. */
type Loaded = {
  readonly server: string;
  readonly namespace: string | undefined;
  readonly proxyUrl: string | undefined;
  readonly read: () => Promise<Omit<Credentials, 'proxy'>>;
};

/** @throws AppError BAD_CONFIG when there is no usable kubeconfig */
export async function loadAccess(source: AccessSource, clock: Clock): Promise<ClusterAccess> {
  const where = source.kubeconfig ?? 'kubeconfig';
  const load = async (): Promise<Loaded> => (await plainAccess(source)) ?? (await loadByClientNode(source, where));
  const loaded = await load();
  const credentials = new RereadCredentials({ load, where, proxy: proxyOf(loaded.proxyUrl, where), clock }, loaded);
  return {
    server: serverOf(loaded.server, where),
    namespace: loaded.namespace,
    credentials: () => credentials.get(),
    forget: () => credentials.forget(),
  };
}

/** @throws AppError BAD_CONFIG in the operator's image, which does not contain client-node */
async function importClientNode(where: string): Promise<typeof import('@kubernetes/client-node')> {
  try {
    return await import('@kubernetes/client-node');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new AppError(
      'BAD_CONFIG',
      {
        where,
        problem:
          'there is no service account, no kubeconfig, or a kubeconfig that is faulty or needs a plugin; the image ' +
          "of the operator accepts a pod's service account and kubeconfigs with a token or a client certificate",
      },
      { cause: error },
    );
  }
}

async function loadByClientNode(source: AccessSource, where: string): Promise<Loaded> {
  const client = await importClientNode(where);
  const config = loadInto(new client.KubeConfig(), source, where);
  const { server, proxyUrl } = clusterOf(config, where);
  refuseMissingUser(config, where);
  return {
    server,
    proxyUrl,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace,
    read: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      return credentialsOf(options);
    },
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

/** @throws AppError BAD_CONFIG when the context's cluster is missing, or when there is no configuration */
function clusterOf(config: KubeConfig, where: string): Cluster {
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new AppError('BAD_CONFIG', {
      where,
      problem: `context '${config.getCurrentContext()}' refers to a cluster that the file does not contain`,
    });
  // client-node makes a default context of this name when it does not find a configuration.
  if (config.getCurrentContext() === 'loaded-context') {
    throw new AppError('BAD_CONFIG', {
      where,
      problem:
        'no kubeconfig was found: give --kubeconfig, set KUBECONFIG, write ~/.kube/config, or run in a pod with ' +
        'a service account',
    });
  }
  return cluster;
}

/**
 * Refuses a context whose user the file does not contain: client-node would send requests without credentials. A
 * context that does not name a user is anonymous on purpose.
 *
 * @throws AppError BAD_CONFIG
 */
function refuseMissingUser(config: KubeConfig, where: string): void {
  const context = config.getCurrentContext();
  // client-node's type requires `user`, but a file may omit it.
  const user: string | undefined = config.getContextObject(context)?.user;
  if (user === undefined || user === '' || config.getUser(user) !== null) return;
  throw new AppError('BAD_CONFIG', {
    where,
    problem: `context '${context}' refers to the user '${user}', which the file does not contain`,
  });
}

type CredentialsDeps = {
  readonly load: () => Promise<Loaded>;
  readonly where: string;
  readonly proxy: string | undefined;
  readonly clock: Clock;
};

/** Credentials that are read again every `rereadMs`, and from a newly loaded file after `forget`. */
class RereadCredentials {
  readonly #deps: CredentialsDeps;
  #loaded: Loaded;
  #cached: { readonly at: number; readonly value: Promise<Credentials> } | undefined;
  #stale = false;

  constructor(deps: CredentialsDeps, loaded: Loaded) {
    this.#deps = deps;
    this.#loaded = loaded;
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
    try {
      if (this.#stale) this.#loaded = sameServer(this.#loaded, await load());
      this.#stale = false;
      return { ...(await this.#loaded.read()), ...(proxy === undefined ? {} : { proxy }) };
    } catch (error) {
      throw new AppError(
        'BAD_CONFIG',
        { where, problem: `no credentials: ${messageOf(error).trim()}` },
        { cause: error, kind: 'transient' },
      );
    }
  }
}

/**
 * Returns the newly loaded kubeconfig.
 * @throws Error when the server has changed, for example with the current context: the new credentials are not for our
 * server
 */
function sameServer(before: Loaded, now: Loaded): Loaded {
  if (now.server !== before.server)
    throw new Error(`the kubeconfig now names the server ${now.server} instead of ${before.server}`);
  return now;
}

/**
 * Access to a server that needs no credentials, or only the given headers. For local mode and tests.
 * @param tls for example `ca` for a server with a self-signed certificate
 */
export function openAccess(
  server: string,
  headers: Readonly<Record<string, string>> = {},
  tls: TlsMaterial = {},
): ClusterAccess {
  const credentials = { headers, tls };
  return {
    server: server.replace(/\/+$/, ''),
    namespace: undefined,
    credentials: () => Promise.resolve(credentials),
    forget: () => {},
  };
}

/** @throws AppError BAD_CONFIG */
function serverOf(server: string, where: string): string {
  if (isHttp(server)) return server.replace(/\/+$/, '');
  throw new AppError('BAD_CONFIG', { where, problem: `server '${server}' is not a URL with http: or https:` });
}

function proxyOf(url: string | undefined, where: string): string | undefined {
  if (url === undefined || url === '') return undefined;
  if (isHttp(url)) return url;
  throw new AppError('BAD_CONFIG', { where, problem: problemOfProxy(url) });
}

/** A sentence that says what is wrong with a proxy-url and what to do. */
function problemOfProxy(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) return `proxy-url '${url}' is not a URL`;
  const advice = 'set proxy-url to an HTTP proxy (http: or https:)';
  // Name SOCKS in the message, because curl and kubectl accept socks5: and socks5h:.
  return parsed.protocol.startsWith('socks')
    ? `a SOCKS proxy (proxy-url '${parsed.protocol}') is not supported: ${advice}, or remove it and forward a local ` +
        'port to the API server'
    : `proxy-url '${parsed.protocol}' is not supported: ${advice}`;
}

function isHttp(url: string): boolean {
  return /^https?:$/.test(URL.parse(url)?.protocol ?? '');
}

function credentialsOf(options: RequestOptions): Omit<Credentials, 'proxy'> {
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
