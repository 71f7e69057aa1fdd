/**
 * Reads a kubeconfig or a pod's service account without client-node (the package @kubernetes/client-node), if every
 * credential is a value in the kubeconfig or a separate file.
 * Owns: reading tokens, token files, client certificates, passwords and impersonation of a user.
 * Why: loading client-node costs half a second and 80 MiB.
 * Limits: the kubeconfig is one valid file of at most 1 MiB, without exec plugins, auth providers or unknown fields.
 * Otherwise the result is undefined; client-node then reads the file and reports its faults.
 */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';
import type { AccessSource, Credentials, TlsMaterial } from './credentials.ts';

export type PlainAccess = {
  readonly server: string;
  readonly namespace: string | undefined;
  readonly proxyUrl: string | undefined;
  /** Reads the token and certificate files again. Rejects when one of these files cannot be read. */
  readonly read: () => Promise<Omit<Credentials, 'proxy'>>;
};

/** The process's environment, the user's home folder, and the folder where the pod's service account is mounted. */
export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  readonly serviceAccount: string;
};

const maxBytes = 2 ** 20;
const clusterFields: ReadonlySet<string> = new Set([
  'server',
  'certificate-authority',
  'certificate-authority-data',
  'insecure-skip-tls-verify',
  'tls-server-name',
  'proxy-url',
  'extensions',
]);
const userFields: ReadonlySet<string> = new Set([
  'token',
  'tokenFile',
  'client-certificate',
  'client-certificate-data',
  'client-key',
  'client-key-data',
  'username',
  'password',
  'as',
]);

const here: Surroundings = {
  env: process.env,
  home: homedir(),
  serviceAccount: '/var/run/secrets/kubernetes.io/serviceaccount',
};

/**
 * @returns undefined when client-node has to read the kubeconfig
 * @throws AppError BAD_CONFIG for an impersonation that neither this reader nor client-node can send
 */
export async function plainAccess(source: AccessSource, around: Surroundings = here): Promise<PlainAccess | undefined> {
  try {
    const path = pathOf(source, around);
    if (path !== undefined) return await fromFile(path, source.context);
    return source.context === undefined ? await ofPod(around) : undefined;
  } catch (error) {
    if (error instanceof AppError) throw error;
    return undefined;
  }
}

/** The kubeconfig file that kubectl would read; undefined when no file exists. */
function pathOf({ kubeconfig }: AccessSource, { env, home }: Surroundings): string | undefined {
  if (kubeconfig !== undefined) return kubeconfig;
  if (env['KUBECONFIG'] !== undefined && env['KUBECONFIG'] !== '') return env['KUBECONFIG'];
  const usual = resolve(home, '.kube/config');
  return existsSync(usual) ? usual : undefined;
}

async function fromFile(path: string, wanted: string | undefined): Promise<PlainAccess | undefined> {
  // Do not read a pipe here: it can be read only once, and client-node may have to read it.
  const facts = await stat(path);
  if (!facts.isFile() || facts.size > maxBytes) return undefined;
  const text = await readFile(path, 'utf8');
  const config = await parsed(text);
  const context = partOf(config, { list: 'contexts', name: wanted ?? config['current-context'], part: 'context' });
  const cluster = partOf(config, { list: 'clusters', name: context['cluster'], part: 'cluster' });
  const user = partOf(config, { list: 'users', name: context['user'], part: 'user' });
  refuseUnsent(user, path);
  if (!hasOnly(cluster, clusterFields) || !hasOnly(user, userFields)) return undefined;
  const server = cluster['server'];
  if (typeof server !== 'string') return undefined;
  const files = dirname(path);
  return {
    server,
    namespace: textIn(context, 'namespace'),
    proxyUrl: textIn(cluster, 'proxy-url'),
    read: async () => ({ headers: await headersOf(user, files), tls: await tlsOf(cluster, user, files) }),
  };
}

/**
 * Refuses fields of the impersonation that client-node drops without a message. Requests without them would have other
 * rights than kubectl's requests.
 *
 * @throws AppError BAD_CONFIG
 */
function refuseUnsent(user: Readonly<Record<string, unknown>>, path: string): void {
  const unsent = ['as-groups', 'as-uid', 'as-user-extra'].filter((field) => user[field] !== undefined);
  if (unsent.length === 0) return;
  throw new AppError('BAD_CONFIG', {
    where: path,
    problem: `${unsent.join(', ')} is not supported: use "as" alone, or the credentials of that user`,
  });
}

/** The YAML parser is loaded only for text that is not JSON. */
async function parsed(text: string): Promise<Readonly<Record<string, unknown>>> {
  const value: unknown = text.trimStart().startsWith('{') ? JSON.parse(text) : (await import('yaml')).parse(text);
  if (!isRecord(value)) throw new Error('not a map');
  return value;
}

type Part = { readonly list: string; readonly name: unknown; readonly part: string };

/** @throws Error when the list does not contain exactly one entry of that name */
function partOf(config: Readonly<Record<string, unknown>>, { list, name, part }: Part): Record<string, unknown> {
  const entries = config[list];
  const found = Array.isArray(entries) ? entries.filter((entry) => isRecord(entry) && entry['name'] === name) : [];
  const [only] = found as readonly Record<string, unknown>[];
  const value = only?.[part] ?? {};
  if (found.length !== 1)
    throw new Error(`${list} must contain exactly one entry named ${String(name)} (found ${found.length})`);
  if (!isRecord(value)) throw new Error(`${part} of ${String(name)} in ${list} is not a map`);
  return value;
}

function hasOnly(value: Readonly<Record<string, unknown>>, fields: ReadonlySet<string>): boolean {
  return Object.keys(value).every((field) => fields.has(field));
}

function textIn(value: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const text = value[field];
  return typeof text === 'string' && text !== '' ? text : undefined;
}

/**
 * A token file has priority over a token, as in client-go. A token and a token file may end in a newline, which a
 * header must not contain.
 */
async function headersOf(
  user: Readonly<Record<string, unknown>>,
  files: string,
): Promise<Readonly<Record<string, string>>> {
  const tokenFile = textIn(user, 'tokenFile');
  const token = tokenFile === undefined ? textIn(user, 'token')?.trim() : await tokenIn(resolve(files, tokenFile));
  const [username, as] = [textIn(user, 'username'), textIn(user, 'as')];
  const basic = Buffer.from(`${username ?? ''}:${textIn(user, 'password') ?? ''}`).toString('base64');
  return {
    ...(username === undefined ? {} : { authorization: `Basic ${basic}` }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(as === undefined ? {} : { 'impersonate-user': as }),
  };
}

/** @throws Error for an empty file: the server would answer 401, and the user would not learn that the file is empty */
async function tokenIn(path: string): Promise<string> {
  const token = (await readFile(path, 'utf8')).trim();
  if (token === '') throw new Error(`the token file ${path} is empty`);
  return token;
}

async function tlsOf(
  cluster: Readonly<Record<string, unknown>>,
  user: Readonly<Record<string, unknown>>,
  files: string,
): Promise<TlsMaterial> {
  const [ca, cert, key] = await Promise.all([
    contentOf(cluster, 'certificate-authority', files),
    contentOf(user, 'client-certificate', files),
    contentOf(user, 'client-key', files),
  ]);
  const servername = textIn(cluster, 'tls-server-name');
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(servername === undefined ? {} : { servername }),
    ...(cluster['insecure-skip-tls-verify'] === true ? { rejectUnauthorized: false } : {}),
  };
}

/** The content of a field: `FIELD-data`, which is Base64, or else the file that `FIELD` names. */
async function contentOf(
  value: Readonly<Record<string, unknown>>,
  field: string,
  files: string,
): Promise<Buffer | undefined> {
  const data = textIn(value, `${field}-data`);
  if (data !== undefined) return Buffer.from(data, 'base64');
  const path = textIn(value, field);
  return path === undefined ? undefined : readFile(resolve(files, path));
}

/** Access with the service account of a pod that runs inside the cluster. */
async function ofPod({ env, serviceAccount }: Surroundings): Promise<PlainAccess | undefined> {
  const [host, port] = [env['KUBERNETES_SERVICE_HOST'], env['KUBERNETES_SERVICE_PORT']];
  if (host === undefined || host === '' || port === undefined) return undefined;
  const file = (name: string): string => resolve(serviceAccount, name);
  const namespace = await readFile(file('namespace'), 'utf8');
  await readFile(file('token'));
  const address = host.includes(':') ? `[${host}]` : host;
  return {
    server: `https://${address}:${port}`,
    namespace: namespace.trim(),
    proxyUrl: undefined,
    read: async () => ({
      headers: { authorization: `Bearer ${await tokenIn(file('token'))}` },
      tls: { ca: await readFile(file('ca.crt')) },
    }),
  };
}
