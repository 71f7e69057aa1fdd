/**
 * Rewrites local/api-server/builtin/messages.json, the field numbers of Kubernetes' Go types.
 * Owns: which types the API server of local mode (a Kubernetes cluster in one process) reads as protobuf, and which
 * facts of each field are stored: number, name, type, and whether zero differs from unset.
 * Run: by hand for a newer Kubernetes, with the project's Node and the folder of the Go modules:
 * `scripts/kube-protobuf/main.ts "$(go env GOMODCACHE)/k8s.io" v0.35.4`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The files with Go types. `name` is the group and version in messages.json, `file` is a path in the Go module, and
 * `aliases` are the names under which other Go files import it.
 */
const sources: readonly {
  readonly name: string;
  readonly module: string;
  readonly file: string;
  readonly aliases: readonly string[];
}[] = [
  { name: 'v1', module: 'api', file: 'core/v1/types.go', aliases: ['corev1', 'v1'] },
  { name: 'apps/v1', module: 'api', file: 'apps/v1/types.go', aliases: ['apps'] },
  { name: 'autoscaling/v1', module: 'api', file: 'autoscaling/v1/types.go', aliases: ['autoscaling'] },
  { name: 'coordination.k8s.io/v1', module: 'api', file: 'coordination/v1/types.go', aliases: ['coordination'] },
  { name: 'discovery.k8s.io/v1', module: 'api', file: 'discovery/v1/types.go', aliases: ['discovery'] },
  { name: 'events.k8s.io/v1', module: 'api', file: 'events/v1/types.go', aliases: ['events'] },
  { name: 'authentication.k8s.io/v1', module: 'api', file: 'authentication/v1/types.go', aliases: ['authentication'] },
  { name: 'authorization.k8s.io/v1', module: 'api', file: 'authorization/v1/types.go', aliases: ['authorization'] },
  { name: 'meta/v1', module: 'apimachinery', file: 'pkg/apis/meta/v1/types.go', aliases: ['metav1'] },
];

const roots = [
  ...[
    'Namespace',
    'Pod',
    'Service',
    'ConfigMap',
    'Secret',
    'ServiceAccount',
    'Event',
    'PersistentVolumeClaim',
    'Node',
    'Endpoints',
  ].map((kind) => `v1.${kind}`),
  ...['Deployment', 'ReplicaSet', 'ControllerRevision'].map((kind) => `apps/v1.${kind}`),
  'autoscaling/v1.Scale',
  'coordination.k8s.io/v1.Lease',
  'discovery.k8s.io/v1.EndpointSlice',
  'events.k8s.io/v1.Event',
  'authentication.k8s.io/v1.SelfSubjectReview',
  ...['SelfSubjectAccessReview', 'SelfSubjectRulesReview', 'SubjectAccessReview'].map(
    (kind) => `authorization.k8s.io/v1.${kind}`,
  ),
  'meta/v1.DeleteOptions',
];

/** The types in messages.json for Go types that have a special form in protobuf or in JSON. */
const special: Readonly<Record<string, string>> = {
  string: 'string',
  bool: 'boolean',
  int: 'integer',
  int32: 'integer',
  int64: 'integer',
  '[]byte': 'bytes',
  'types.UID': 'string',
  'types.NodeName': 'string',
  'resource.Quantity': 'quantity',
  'intstr.IntOrString': 'intOrString',
  'metav1.Time': 'time',
  'metav1.MicroTime': 'microTime',
  'runtime.RawExtension': 'json',
  'metav1.FieldsV1': 'json',
};

type GoField = { readonly number: string; readonly name: string; readonly type: string };
type GoFile = { readonly structs: Map<string, readonly GoField[]>; readonly others: Map<string, string> };

function parseGo(text: string): GoFile {
  const structs = new Map<string, readonly GoField[]>();
  const others = new Map<string, string>();
  for (const [, name = '', body = ''] of text.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm))
    structs.set(name, body.split('\n').flatMap(fieldOf));
  for (const [, name = '', type = ''] of text.matchAll(/^type (\w+) ((?!struct|interface)\S+)$/gm))
    others.set(name, type);
  return { structs, others };
}

/**
 * The field on a line of Go. A field with an inlined message has no name: in JSON, the fields of the message belong to
 * the parent.
 */
function fieldOf(line: string): GoField[] {
  const [, , type = '', tags = ''] = /^\t(\w+ +)?([^\s`]+)\s+`([^`]*)`/.exec(line) ?? [];
  const [, json = ''] = /json:"([^",]*)/.exec(tags) ?? [];
  const [, number = ''] = /protobuf:"\w+,(\d+),/.exec(tags) ?? [];
  return number === '' ? [] : [{ number, name: json, type }];
}

const root = process.argv[2] ?? '';
const version = process.argv[3] ?? '';
const files = new Map(
  sources.map(({ name, module, file }) => [
    name,
    parseGo(readFileSync(join(root, `${module}@${version}`, file), 'utf8')),
  ]),
);
const homes = new Map(sources.flatMap(({ name, aliases }) => aliases.map((alias) => [alias, name] as const)));

/**
 * @returns the name of a scalar, or `group/version.Type`. A list begins with `*`, a map with `%`. A trailing `?` means
 * that zero differs from unset
 */
function typeOf(go: string, home: string): string {
  if (go.startsWith('*')) return `${typeOf(go.slice(1), home)}?`;
  const known = special[go] ?? special[home === 'meta/v1' ? `metav1.${go}` : go];
  if (known !== undefined) return known;
  if (go.startsWith('map[')) return `%${typeOf(go.slice(go.indexOf(']') + 1), home)}`;
  if (go.startsWith('[]')) return `*${typeOf(go.slice(2), home)}`;
  return nameOf(go, home);
}

/**
 * Resolves the name of a type as a Go file writes it, for example `metav1.ObjectMeta`.
 *
 * @param home the package of the file
 * @returns the key of the type in the result, for example `meta/v1.ObjectMeta`; for a type that only renames another
 *   type (`type PodPhase string`), what `typeOf` returns for that type
 */
function nameOf(go: string, home: string): string {
  const cut = go.indexOf('.');
  const [place, bare] = cut < 0 ? [home, go] : [homes.get(go.slice(0, cut)) ?? '', go.slice(cut + 1)];
  const file = files.get(place);
  const other = file?.others.get(bare);
  if (other !== undefined) return typeOf(other, place);
  if (file?.structs.has(bare) !== true) throw new Error(`the type ${go} of ${home} is unknown`);
  return `${place}.${bare}`;
}

const messages: Record<string, Record<string, string>> = {};

function add(name: string): void {
  if (messages[name] !== undefined) return;
  const cut = name.lastIndexOf('.');
  const home = name.slice(0, cut);
  const fields = files.get(home)?.structs.get(name.slice(cut + 1));
  if (fields === undefined) throw new Error(`unknown type ${name}`);
  const rows = fields.map((field) => [field.number, `${field.name}:${typeOf(field.type, home)}`] as const);
  messages[name] = Object.fromEntries(rows);
  for (const [, row] of rows) {
    const type = row
      .slice(row.indexOf(':') + 1)
      .replace(/^[*%]/, '')
      .replace(/\?$/, '');
    if (type.includes('.')) add(type);
  }
}

for (const name of roots) add(name);
const lines = Object.entries(messages)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([name, rows]) => `${JSON.stringify(name)}: ${JSON.stringify(rows)}`);
const comment =
  `Field numbers of built-in types of Kubernetes ${version.replace('v0', 'v1')} (Apache-2.0), written by ` +
  'scripts/kube-protobuf';
writeFileSync(
  join(import.meta.dirname, '..', '..', 'local', 'api-server', 'builtin', 'messages.json'),
  `{\n"$comment": ${JSON.stringify(comment)},\n${lines.join(',\n')}\n}\n`,
);
