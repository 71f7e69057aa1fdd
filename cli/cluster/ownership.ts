/**
 * Finds the other tools that write an OnnxModel, from its managedFields, labels and annotations.
 *
 * Owns: the field manager of this command, and the labels and annotations by which GitOps tools are recognised. Pure.
 */
import { isRecord } from '../../api/record.ts';
import type { ObjectMeta } from '../../api/kube-object.ts';

/** The field manager of this command. It must not begin with "kubectl": Flux reverts changes by such managers. */
export const cliManager = 'onnx-cli';

/** The part of an object's metadata that tells which tools have written the object. */
type Writers = Pick<ObjectMeta, 'labels' | 'annotations' | 'managedFields'>;

/**
 * The annotation with the last manifest of a client-side `kubectl apply` (or of Argo CD). The next apply removes the
 * fields that this annotation contains and the new manifest does not contain.
 */
export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';

/** Names of the fields of spec.rollout that this command owns. */
export function ownRolloutFields(metadata: Writers): readonly string[] {
  return (metadata.managedFields ?? [])
    .filter(({ manager }) => manager === cliManager)
    .flatMap(({ fieldsV1 }) => rolloutFields(fieldsV1));
}

/**
 * The other managers whose manifest has this field of spec.rollout. Each of them will overwrite the field at its next
 * apply.
 */
export function manifestOwners(metadata: Writers, field: string): readonly string[] {
  const appliers = (metadata.managedFields ?? []).filter(
    ({ manager, operation, fieldsV1 }) =>
      manager !== cliManager && operation === 'Apply' && rolloutFields(fieldsV1).includes(field),
  );
  const inManifest = Object.hasOwn(rolloutOf(parsed(metadata.annotations?.[lastAppliedAnnotation])), field);
  return [...appliers.map(({ manager = 'unknown' }) => manager), ...(inManifest ? ['kubectl apply'] : [])];
}

/** The names of the fields below spec.rollout: `{"f:spec": {"f:rollout": {"f:paused": {}}}}` → `['paused']`. */
function rolloutFields(fieldsV1: unknown): readonly string[] {
  const spec = isRecord(fieldsV1) ? fieldsV1['f:spec'] : undefined;
  const rollout = isRecord(spec) ? spec['f:rollout'] : undefined;
  return isRecord(rollout) ? Object.keys(rollout).map((key) => key.replace(/^f:/, '')) : [];
}

/**
 * The last-applied annotation, with the fields `names` of its spec replaced by `revisionPart`. Undefined when the
 * annotation is absent or invalid.
 */
export function lastAppliedWith(
  metadata: Writers,
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

/**
 * Tools for GitOps, which revert manual changes, and the labels, annotations and field managers that they leave on
 * objects.
 */
// prettier-ignore
const gitTools: readonly { readonly name: string; readonly labels?: readonly string[];
  readonly annotations?: readonly string[]; readonly managers: readonly string[] }[] = [
  { name: 'Argo CD', labels: ['argocd.argoproj.io/instance'], annotations: ['argocd.argoproj.io/tracking-id'],
    managers: ['argocd-controller', 'argocd-application-controller'] },
  { name: 'Flux', labels: ['kustomize.toolkit.fluxcd.io/name', 'helm.toolkit.fluxcd.io/name'],
    managers: ['kustomize-controller', 'helm-controller'] },
  { name: 'Helm', annotations: ['meta.helm.sh/release-name'], managers: ['helm'] },
];

/**
 * The GitOps tool that applies this object. @returns the tool and how it was recognised, such as `Flux (label
 * kustomize.toolkit.fluxcd.io/name)`
 */
export function gitOwner(metadata: Writers): string | undefined {
  for (const tool of gitTools) {
    const mark = markOf(tool, metadata);
    if (mark !== undefined) return `${tool.name} (${mark})`;
  }
  return undefined;
}

function markOf(
  { labels = [], annotations = [], managers }: (typeof gitTools)[number],
  metadata: Writers,
): string | undefined {
  const label = labels.find((key) => metadata.labels?.[key] !== undefined);
  const annotation = annotations.find((key) => metadata.annotations?.[key] !== undefined);
  const manager = metadata.managedFields?.find(({ manager = '' }) => managers.includes(manager))?.manager;
  if (label !== undefined) return `label ${label}`;
  if (annotation !== undefined) return `annotation ${annotation}`;
  return manager === undefined ? undefined : `field manager ${manager}`;
}
