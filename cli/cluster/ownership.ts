/**
 * Who else writes an OnnxModel, as the object itself tells: its managedFields, labels and annotations.
 *
 * Owns:  the field manager of this command, and the marks by which tools that put Git's state back are known.
 * Pure.
 */
import { isRecord } from '../../api/record.ts';

/**
 * Everything that this command writes is written under this name. Flux takes back what any name that begins with
 * "kubectl" wrote.
 */
export const cliManager = 'onnx-cli';

type Meta = {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly managedFields?: unknown;
};
type Owned = { readonly manager: string; readonly operation: string; readonly fields: unknown };

/**
 * What a client-side `kubectl apply` (or Argo CD) sent last: the next one removes what is in it and not in the new
 * manifest.
 */
export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

function ownersOf({ managedFields }: Meta): readonly Owned[] {
  if (!Array.isArray(managedFields)) return [];
  return managedFields.filter(isRecord).map((entry) => ({
    manager: String(entry['manager']),
    operation: String(entry['operation']),
    fields: entry['fieldsV1'],
  }));
}

/** Names of the fields of spec.rollout that this command wrote last. */
export function ownRolloutFields(metadata: Meta): readonly string[] {
  return ownersOf(metadata)
    .filter(({ manager }) => manager === cliManager)
    .flatMap(({ fields }) => rolloutFields(fields));
}

/** Who, beside this command, keeps a field of spec.rollout in a manifest and so will put its own value back. */
export function manifestOwners(metadata: Meta, field: string): readonly string[] {
  const appliers = ownersOf(metadata).filter(
    ({ manager, operation, fields }) =>
      manager !== cliManager && operation === 'Apply' && rolloutFields(fields).includes(field),
  );
  const inManifest = Object.hasOwn(rolloutOf(parsed(metadata.annotations?.[lastAppliedAnnotation])), field);
  return [...appliers.map(({ manager }) => manager), ...(inManifest ? ['kubectl apply'] : [])];
}

/** `{"f:spec": {"f:rollout": {"f:paused": {}}}}` → `['paused']` */
function rolloutFields(fieldsV1: unknown): readonly string[] {
  const spec = isRecord(fieldsV1) ? fieldsV1['f:spec'] : undefined;
  const rollout = isRecord(spec) ? spec['f:rollout'] : undefined;
  return isRecord(rollout) ? Object.keys(rollout).map((key) => key.replace(/^f:/, '')) : [];
}

/**
 * The last-applied annotation with another revision's part of the spec. Undefined when there is none that can be read.
 */
export function lastAppliedWith(
  metadata: Meta,
  revisionPart: Readonly<Record<string, unknown>>,
  names: readonly string[],
): string | undefined {
  const manifest = parsed(metadata.annotations?.[lastAppliedAnnotation]);
  if (!isRecord(manifest) || !isRecord(manifest['spec'])) return undefined;
  const rest = Object.entries(manifest['spec']).filter(([name]) => !names.includes(name));
  return `${JSON.stringify({ ...manifest, spec: { ...Object.fromEntries(rest), ...revisionPart } })}\n`;
}

function rolloutOf(manifest: unknown): Readonly<Record<string, unknown>> {
  const spec = isRecord(manifest) ? manifest['spec'] : undefined;
  const rollout = isRecord(spec) ? spec['rollout'] : undefined;
  return isRecord(rollout) ? rollout : {};
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null') as unknown;
  } catch {
    return undefined;
  }
}

/** Tools that put the state of a repository back, with the marks they leave. */
// prettier-ignore
const gitTools: readonly { readonly name: string; readonly labels?: readonly string[];
  readonly annotations?: readonly string[]; readonly managers: readonly string[] }[] = [
  { name: 'Argo CD', labels: ['argocd.argoproj.io/instance'], annotations: ['argocd.argoproj.io/tracking-id'],
    managers: ['argocd-controller', 'argocd-application-controller'] },
  { name: 'Flux', labels: ['kustomize.toolkit.fluxcd.io/name', 'helm.toolkit.fluxcd.io/name'],
    managers: ['kustomize-controller', 'helm-controller'] },
  { name: 'Helm', annotations: ['meta.helm.sh/release-name'], managers: ['helm'] },
];

/** @returns the tool and the mark by which it is known, such as `Flux (label kustomize.toolkit.fluxcd.io/name)` */
export function gitOwner(metadata: Meta): string | undefined {
  for (const tool of gitTools) {
    const mark = markOf(tool, metadata);
    if (mark !== undefined) return `${tool.name} (${mark})`;
  }
  return undefined;
}

function markOf(
  { labels = [], annotations = [], managers }: (typeof gitTools)[number],
  metadata: Meta,
): string | undefined {
  const label = labels.find((key) => metadata.labels?.[key] !== undefined);
  const annotation = annotations.find((key) => metadata.annotations?.[key] !== undefined);
  const manager = ownersOf(metadata).find((owner) => managers.includes(owner.manager))?.manager;
  if (label !== undefined) return `label ${label}`;
  if (annotation !== undefined) return `annotation ${annotation}`;
  return manager === undefined ? undefined : `field manager ${manager}`;
}
