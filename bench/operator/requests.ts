/**
 * Names and counts the requests of an operator: `create configmaps`, `update onnxmodels/status`, `watch pods`.
 * Pure.
 */

/** The number of requests with each name. */
export type RequestCounts = Readonly<Record<string, number>>;

export type SentRequest = {
  readonly method: string;
  /** The path and query of the URL. */
  readonly url: string;
  readonly contentType?: string | undefined;
};

const writingVerbs: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'apply', 'delete', 'deletecollection']);

const verbsOfOne: Readonly<Record<string, string>> = { GET: 'get', POST: 'create', PUT: 'update', DELETE: 'delete' };
const verbsOfMany: typeof verbsOfOne = { GET: 'list', POST: 'create', PUT: 'update', DELETE: 'deletecollection' };

/**
 * Verb and resource as in an audit log; a server-side apply is `apply`. If the path does not name a resource, the
 * result contains the path instead.
 */
export function requestName(request: SentRequest): string {
  const [path = '', query = ''] = request.url.split('?');
  const target = targetOf(path);
  const verb = verbOf(request, new URLSearchParams(query), target?.isOne ?? false);
  return `${verb} ${target?.resource ?? path}`;
}

export function isWriting(name: string): boolean {
  return writingVerbs.has(name.split(' ')[0] ?? '');
}

/**
 * True for a request that ends with its answer, so false for a watch. A watch stays open, and the number of watches
 * depends on the duration of a run.
 */
export function isCounted(name: string): boolean {
  return !name.startsWith('watch ');
}

export function countOf(counts: RequestCounts, which: (name: string) => boolean): number {
  return Object.entries(counts).reduce((sum, [name, count]) => sum + (which(name) ? count : 0), 0);
}

/** The requests that were sent between two snapshots of the same counts. */
export function sentBetween(before: RequestCounts, after: RequestCounts): RequestCounts {
  const differences = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(differences.filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]));
}

type Target = { readonly resource: string; readonly isOne: boolean };

/** @returns undefined for a path that does not name a resource, such as `/version` or `/apis/apps/v1` */
function targetOf(path: string): Target | undefined {
  const [, root, ...parts] = path.replace(/\/$/, '').split('/');
  if (root !== 'api' && root !== 'apis') return undefined;
  const rest = parts.slice(root === 'api' ? 1 : 2);
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2;
  const [plural, name, ...sub] = inNamespace ? rest.slice(2) : rest;
  if (plural === undefined) return undefined;
  return { resource: [plural, ...sub].join('/'), isOne: name !== undefined };
}

function verbOf({ method, contentType = '' }: SentRequest, query: URLSearchParams, isOne: boolean): string {
  if (method === 'GET' && ['true', '1'].includes(query.get('watch') ?? '')) return 'watch';
  if (method === 'PATCH') return contentType.startsWith('application/apply-patch') ? 'apply' : 'patch';
  const verbs = isOne ? verbsOfOne : verbsOfMany;
  return verbs[method] ?? method.toLowerCase();
}
