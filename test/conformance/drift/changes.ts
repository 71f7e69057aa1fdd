/**
 * Every way in which another writer can change a child (an object that the operator makes for a model): change or
 * remove each field that the operator owns, add a key to each map, and add an item to each list.
 * Pure: makes JSON patches for an object.
 */
import { isRecord } from '../../../api/record.ts';
import type { Json } from '../kube/api.ts';

/**
 * `ours`: the operator restores the field. `foreign`: the change stays, and the operator reacts with one write at most.
 */
export type Change = { readonly name: string; readonly patch: readonly object[]; readonly fate: 'ours' | 'foreign' };

/** Another valid value for each field that accepts only a few values. */
const otherValues: Readonly<Record<string, readonly unknown[]>> = {
  protocol: ['UDP'],
  sessionAffinity: ['ClientIP'],
  internalTrafficPolicy: ['Local'],
  imagePullPolicy: ['Always'],
  dnsPolicy: ['Default'],
  scheme: ['HTTPS'],
  terminationMessagePolicy: ['File'],
  fsGroupChangePolicy: ['Always'],
  operator: ['Exists'],
  effect: ['NoExecute'],
  defaultMode: [0o400],
};

/**
 * For each kind, fields that another writer adds. A path that ends in `/-` adds an item to a list; a path that begins
 * with `=` replaces a value.
 */
const additions: Readonly<
  Record<string, readonly { readonly path: string; readonly value: unknown; readonly fate: Change['fate'] }[]>
> = {
  Service: [
    { path: '/spec/selector/team', value: 'x', fate: 'ours' },
    { path: '/spec/publishNotReadyAddresses', value: true, fate: 'ours' },
    { path: '/spec/sessionAffinity', value: 'ClientIP', fate: 'ours' },
    { path: '/spec/internalTrafficPolicy', value: 'Local', fate: 'ours' },
    { path: '/spec/externalIPs', value: ['192.0.2.1'], fate: 'ours' },
    { path: '/spec/trafficDistribution', value: 'PreferClose', fate: 'ours' },
    { path: '/spec/type', value: 'NodePort', fate: 'ours' },
    { path: '/spec/type', value: 'LoadBalancer', fate: 'ours' },
    { path: '/spec/ports/0/appProtocol', value: 'http', fate: 'ours' },
    { path: '/spec/ports', value: [{ name: 'http', port: 9999, targetPort: 9999 }], fate: 'ours' },
    { path: '/spec/ports', value: [{ port: 9999, targetPort: 9999 }], fate: 'ours' },
    { path: '/spec/ports', value: [{ name: 'http', port: 8080, targetPort: 8080, protocol: 'UDP' }], fate: 'ours' },
    { path: '/spec/ports/-', value: { name: 'admin', port: 9999, targetPort: 9999 }, fate: 'foreign' },
    { path: '/metadata/labels/team', value: 'x', fate: 'foreign' },
    { path: '/metadata/annotations/team', value: 'x', fate: 'foreign' },
    { path: '/metadata/finalizers', value: ['example.com/hold'], fate: 'foreign' },
  ],
  ConfigMap: [
    { path: '/data/more', value: 'x', fate: 'foreign' },
    { path: '/binaryData', value: { more: 'eA==' }, fate: 'foreign' },
    { path: '/metadata/labels/team', value: 'x', fate: 'foreign' },
  ],
  ControllerRevision: [{ path: '/metadata/annotations/team', value: 'x', fate: 'foreign' }],
  Deployment: [
    { path: '/spec/paused', value: true, fate: 'ours' },
    { path: '/spec/minReadySeconds', value: 100, fate: 'ours' },
    { path: '/spec/progressDeadlineSeconds', value: 7, fate: 'ours' },
    { path: '/spec/strategy', value: { type: 'Recreate' }, fate: 'ours' },
    ...podAdditions('/spec/template/spec'),
    { path: '/spec/template/metadata/labels/team', value: 'x', fate: 'foreign' },
    {
      path: '/spec/template/metadata/annotations',
      value: { 'kubectl.kubernetes.io/restartedAt': 'x' },
      fate: 'foreign',
    },
    { path: '/metadata/labels/team', value: 'x', fate: 'foreign' },
  ],
  HTTPRoute: [
    ...routeAdditions(),
    { path: '/metadata/labels/team', value: 'x', fate: 'foreign' },
    { path: '/metadata/annotations/team', value: 'x', fate: 'foreign' },
    { path: '/metadata/finalizers', value: ['example.com/hold'], fate: 'foreign' },
  ],
};

/**
 * Fields that another writer adds to an HTTPRoute. The operator removes all of them. It owns the whole spec of a route,
 * because the spec decides which requests arrive and with which weights.
 */
function routeAdditions(): readonly {
  readonly path: string;
  readonly value: unknown;
  readonly fate: Change['fate'];
}[] {
  const rule = '/spec/rules/0';
  const backend = { name: 'another', port: 8080 };
  const mirror = { type: 'RequestMirror', requestMirror: { backendRef: backend } };
  const header = { type: 'RequestHeaderModifier', requestHeaderModifier: { add: [{ name: 'x-team', value: 'x' }] } };
  const ours: readonly [string, unknown][] = [
    ['/spec/hostnames', ['other.example.com']],
    ['/spec/hostnames/-', '*.example.org'],
    ['/spec/parentRefs/-', { name: 'another' }],
    ['=/spec/parentRefs/0', { name: 'another' }],
    ['/spec/parentRefs', []],
    ['/spec/parentRefs/0/sectionName', 'http'],
    ['/spec/parentRefs/0/port', 80],
    ['/spec/parentRefs/0/namespace', 'another'],
    ['/spec/rules', [{ backendRefs: [backend] }]],
    ['/spec/rules/-', { backendRefs: [{ ...backend, weight: 100 }] }],
    ['/spec/rules/-', { matches: [{ path: { type: 'Exact', value: '/v2' } }] }],
    [`${rule}/name`, 'more'],
    [`${rule}/matches`, [{ path: { type: 'PathPrefix', value: '/v2' } }]],
    [`${rule}/matches/-`, { headers: [{ name: 'x-team', value: 'x' }] }],
    [`${rule}/matches/0/method`, 'POST'],
    [`${rule}/matches/0/headers`, [{ name: 'x-team', value: 'x' }]],
    [`${rule}/matches/0/queryParams`, [{ name: 'team', value: 'x' }]],
    [`${rule}/filters`, [mirror]],
    [`${rule}/filters`, [header]],
    [`${rule}/filters`, [{ type: 'RequestRedirect', requestRedirect: { hostname: 'other.example.com' } }]],
    [
      `${rule}/filters`,
      [{ type: 'URLRewrite', urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/x' } } }],
    ],
    [`${rule}/timeouts`, { request: '1s', backendRequest: '500ms' }],
    [`${rule}/retry`, { attempts: 3 }],
    [`${rule}/sessionPersistence`, { type: 'Cookie' }],
    [`${rule}/backendRefs`, []],
    [`${rule}/backendRefs/-`, { ...backend, weight: 50 }],
    [`${rule}/backendRefs/-`, { ...backend, weight: 0 }],
    [`=${rule}/backendRefs/0`, backend],
    [`${rule}/backendRefs/0/weight`, 0],
    [`${rule}/backendRefs/0/namespace`, 'another'],
    [`${rule}/backendRefs/0/filters`, [header]],
    [`${rule}/backendRefs/0/filters`, [mirror]],
  ];
  return ours.map(([path, value]) => ({ path, value, fate: 'ours' as const }));
}

function podAdditions(
  at: string,
): readonly { readonly path: string; readonly value: unknown; readonly fate: Change['fate'] }[] {
  const ours: readonly [string, unknown][] = [
    ['/hostNetwork', true],
    ['/hostPID', true],
    ['/hostIPC', true],
    ['/shareProcessNamespace', true],
    ['/nodeName', 'n1'],
    ['/activeDeadlineSeconds', 100],
    ['/dnsPolicy', 'Default'],
    ['/dnsConfig', { nameservers: ['192.0.2.1'] }],
    ['/schedulerName', 'other'],
    ['/runtimeClassName', 'other'],
    ['/priorityClassName', 'other'],
    ['/serviceAccountName', 'other'],
    ['/hostname', 'other'],
    ['/subdomain', 'other'],
    ['/setHostnameAsFQDN', true],
    ['/hostAliases', [{ ip: '192.0.2.1', hostnames: ['a'] }]],
    ['/readinessGates', [{ conditionType: 'example.com/x' }]],
    ['/schedulingGates', [{ name: 'example.com/x' }]],
    ['/preemptionPolicy', 'Never'],
    ['/nodeSelector/team', 'x'],
    ['/tolerations/-', { operator: 'Exists' }],
    ['/tolerations/0/tolerationSeconds', 5],
    [
      '/affinity/podAffinity',
      { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: { topologyKey: 'zone' } }] },
    ],
    ['/topologySpreadConstraints', [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }]],
    ['/securityContext/supplementalGroups', [7]],
    ['/securityContext/seccompProfile', { type: 'Localhost', localhostProfile: 'x' }],
    ['=/volumes/0', { name: 'config', emptyDir: {} }],
    ['/volumes/1/emptyDir/medium', 'Memory'],
    ['/containers/0/command', ['sh']],
    ['/containers/0/args/-', '--more'],
    ['/containers/0/workingDir', '/x'],
    ['/containers/0/tty', true],
    ['/containers/0/stdin', true],
    ['/containers/0/lifecycle', { preStop: { exec: { command: ['sleep', '1'] } } }],
    ['/containers/0/envFrom', [{ configMapRef: { name: 'x' } }]],
    ['/containers/0/resources/limits/example.com~1gpu', '1'],
    ['/containers/0/securityContext/privileged', false],
    ['/containers/0/securityContext/capabilities/add', ['NET_ADMIN']],
    ['/containers/0/readinessProbe', { tcpSocket: { port: 8080 } }],
    ['/containers/0/readinessProbe/initialDelaySeconds', 30],
    ['/containers/0/livenessProbe/httpGet/host', 'other'],
    ['/containers/0/livenessProbe/httpGet/httpHeaders', [{ name: 'a', value: 'b' }]],
    ['/containers/0/livenessProbe/terminationGracePeriodSeconds', 3],
    ['=/containers/0/env/0', { name: 'POD_IP', value: '192.0.2.1' }],
    ['/containers/0/env/-', { name: 'POD_IP', value: '192.0.2.1' }],
    ['/containers/0/volumeMounts/0/subPath', 'x'],
    ['/containers/0/ports', [{ name: 'http', containerPort: 9090 }]],
    ['/containers/0/ports/0/hostPort', 9090],
  ];
  const foreign: readonly [string, unknown][] = [
    ['/containers/-', { name: 'agent', image: 'agent:1' }],
    ['/initContainers/-', { name: 'setup', image: 'agent:1' }],
    ['/containers/0/env/-', { name: 'MORE', value: 'x' }],
    ['/volumes/-', { name: 'more', emptyDir: {} }],
    ['/volumes', 'AND_MOUNT'],
    ['/containers/0/ports/-', { name: 'more', containerPort: 9090 }],
    ['/imagePullSecrets', [{ name: 'pull' }]],
  ];
  return [
    ...ours.map(([path, value]) => ({
      path: path.startsWith('=') ? `=${at}${path.slice(1)}` : at + path,
      value,
      fate: 'ours' as const,
    })),
    ...foreign.map(([path, value]) => ({ path: at + path, value, fate: 'foreign' as const })),
  ];
}

export function additionsTo(live: Json): readonly Change[] {
  return (additions[live.kind] ?? []).map(({ path, value, fate }) => {
    const patch =
      value === 'AND_MOUNT'
        ? mounting(path)
        : [path.startsWith('=') ? { op: 'replace', path: path.slice(1), value } : { op: 'add', path, value }];
    return { name: `${live.kind} with ${path} added`, patch, fate };
  });
}

function mounting(volumes: string): readonly object[] {
  const spec = volumes.slice(0, -'/volumes'.length);
  return [
    { op: 'add', path: `${volumes}/-`, value: { name: 'scratch', emptyDir: {} } },
    { op: 'add', path: `${spec}/containers/0/volumeMounts/-`, value: { name: 'scratch', mountPath: '/scratch' } },
  ];
}

/**
 * For each field that the operator's field manager owns, one change of its value and one removal. For an atomic list,
 * also one change and one removal for each field of each item. If the operator created the object, its field manager
 * also owns the API server's defaults.
 */
export function changesOf(live: Json): readonly Change[] {
  const entries = live.metadata.managedFields.filter(
    (one: Json) => one.manager === 'onnx-operator' && one.subresource === undefined,
  );
  return entries
    .flatMap((entry: Json) => [...leaves(entry.fieldsV1, live, '')])
    .flatMap((leaf: Leaf) => [leaf, ...inside(leaf)])
    .flatMap(({ path, value }: Leaf) => [
      ...othersOf(path, value).map((other) => ({
        name: `${live.kind} with ${path} changed`,
        patch: [{ op: 'replace', path, value: other }],
        fate: 'ours' as const,
      })),
      { name: `${live.kind} without ${path}`, patch: [{ op: 'remove', path }], fate: 'ours' as const },
    ]);
}

type Leaf = { readonly path: string; readonly value: unknown };

function* leaves(fields: Json, live: Json, path: string): Generator<Leaf> {
  for (const [step, below] of Object.entries(fields) as [string, Json][]) {
    if (step === '.') continue;
    const found = stepInto(step, live);
    if (found === undefined) continue;
    const here = `${path}/${String(found.at).replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (step.startsWith('k:')) yield { path: here, value: undefined };
    if (Object.keys(below as object).length === 0) yield { path: here, value: found.value };
    else yield* leaves(below, found.value, here);
  }
}

/** Values that managedFields do not list separately: the items of atomic lists, and the fields of those items. */
function* inside({ path, value }: Leaf): Generator<Leaf> {
  if (!Array.isArray(value) || value.every((item) => typeof item === 'string')) return;
  for (const [index, item] of value.entries()) yield* whole({ path: `${path}/${index}`, value: item as unknown });
}

function* whole(leaf: Leaf): Generator<Leaf> {
  yield leaf;
  const { path, value } = leaf;
  if (!isRecord(value) && !Array.isArray(value)) return;
  for (const [name, inner] of Object.entries(value)) yield* whole({ path: `${path}/${name}`, value: inner as unknown });
}

function stepInto(step: string, live: Json): { readonly at: string | number; readonly value: Json } | undefined {
  if (step.startsWith('f:'))
    return live?.[step.slice(2)] === undefined ? undefined : { at: step.slice(2), value: live[step.slice(2)] };
  if (!step.startsWith('k:') || !Array.isArray(live)) return undefined;
  const key = JSON.parse(step.slice(2)) as Record<string, unknown>;
  const index = live.findIndex((item: Json) => Object.entries(key).every(([name, value]) => item[name] === value));
  return index < 0 ? undefined : { at: index, value: live[index] };
}

/**
 * Other values to write to a field. The list is empty for owner references, because the garbage collector would delete
 * the object, and for keys of list items, because an item with another key is another item.
 */
function othersOf(path: string, value: unknown): readonly unknown[] {
  const field = path.slice(path.lastIndexOf('/') + 1);
  if (path.startsWith('/metadata/ownerReferences') || /\/\d+\/(name|mountPath)$/.test(path)) return [];
  return otherValues[field] ?? otherThan(value);
}

function otherThan(value: unknown): readonly unknown[] {
  if (typeof value === 'number') return [value + 1];
  if (typeof value === 'boolean') return [!value];
  if (typeof value === 'string') return /^\d+(\.\d+)?[a-zA-Z]*$/.test(value) ? ['7'] : [`${value}x`];
  if (Array.isArray(value))
    return value.every((item) => typeof item === 'string') ? [[...(value as string[]), 'x']] : [];
  return isRecord(value) ? [{ ...value, more: 'x' }] : [];
}
