/**
 * Validation of Deployments, ReplicaSets and Pods. Pure.
 * Limits: only the checks that a wrong manifest of the operator would most likely fail on kube-apiserver.
 */
import { at, isSame, numberAt, recordOf, recordsOf, stringAt, type JsonRecord } from '../../../lib/json.ts';
import type { StoredObject } from '../../objects.ts';
import type { ObjectDraft } from '../resource.ts';
import { duplicateValue, forbiddenValue, invalidValue, requiredValue, type Cause } from '../../../kube/schema/cause.ts';
import { validateLabels } from '../../../kube/schema/metadata.ts';

export function validateDeployment(draft: ObjectDraft, old: StoredObject | undefined): readonly Cause[] {
  return validateSelectingWorkload(draft, old);
}

export function validateReplicaSet(draft: ObjectDraft, old: StoredObject | undefined): readonly Cause[] {
  return validateSelectingWorkload(draft, old);
}

function validateSelectingWorkload(draft: ObjectDraft, old: StoredObject | undefined): readonly Cause[] {
  const spec = recordOf(draft['spec']);
  const selector = recordOf(spec['selector']);
  const causes: Cause[] = [];
  const replicas = numberAt(spec, 'replicas');
  if (replicas !== undefined && replicas < 0)
    causes.push(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'));
  if (spec['selector'] === undefined) causes.push(requiredValue('spec.selector'));
  else if (Object.keys(selector).length === 0)
    causes.push(invalidValue('spec.selector', {}, 'empty selector is invalid for deployment'));
  const given = at(spec, 'template', 'metadata', 'labels');
  const labels = recordOf(given);
  const matches = Object.entries(recordOf(selector['matchLabels'])).every(([key, value]) => labels[key] === value);
  if (!matches || spec['selector'] === undefined)
    causes.push(invalidValue('spec.template.metadata.labels', given, '`selector` does not match template `labels`'));
  if (old !== undefined && !isSame(spec['selector'], at(old, 'spec', 'selector')))
    causes.push(invalidValue('spec.selector', spec['selector'], 'field is immutable'));
  return [
    ...causes,
    ...validateLabels(labels, 'spec.template.labels'),
    ...validatePodSpec(recordOf(at(spec, 'template', 'spec')), 'spec.template.spec'),
  ];
}

export function validatePod(draft: ObjectDraft): readonly Cause[] {
  return validatePodSpec(recordOf(draft['spec']), 'spec');
}

function validatePodSpec(spec: JsonRecord, path: string): Cause[] {
  const causes: Cause[] = [];
  const containers = recordsOf(spec['containers']);
  if (containers.length === 0) causes.push(requiredValue(`${path}.containers`));
  causes.push(...validateVolumes(spec, path));
  const names = new Set<string>();
  for (const field of ['initContainers', 'containers']) {
    for (const [index, container] of recordsOf(spec[field]).entries())
      causes.push(...validateContainer(container, { path: `${path}.${field}[${index}]`, names, spec }));
  }
  return causes;
}

function validateContainer(
  container: JsonRecord,
  where: { path: string; names: Set<string>; spec: JsonRecord },
): Cause[] {
  const { path, names, spec } = where;
  const name = stringAt(container, 'name') ?? '';
  const causes: Cause[] = [];
  if (name === '') causes.push(requiredValue(`${path}.name`));
  else if (names.has(name)) causes.push(duplicateValue(`${path}.name`, name));
  names.add(name);
  if ((stringAt(container, 'image') ?? '') === '') causes.push(requiredValue(`${path}.image`));
  return [
    ...causes,
    ...validateContainerParts(container, {
      path,
      volumes: new Set(recordsOf(spec['volumes']).map((volume) => volume['name'])),
    }),
  ];
}

function validateContainerParts(
  container: JsonRecord,
  { path, volumes }: { path: string; volumes: ReadonlySet<unknown> },
): Cause[] {
  const mounts = recordsOf(container['volumeMounts']);
  return [
    ...mounts.flatMap((mount, index) =>
      validateMount(mount, `${path}.volumeMounts[${index}]`, { volumes, before: mounts.slice(0, index) }),
    ),
    ...recordsOf(container['env']).flatMap((variable, index) => validateVariable(variable, `${path}.env[${index}]`)),
    ...validateContainerPorts(recordsOf(container['ports']), path),
    ...['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((name) =>
      validateProbe(container[name], `${path}.${name}`),
    ),
  ];
}

function validateMount(
  mount: JsonRecord,
  path: string,
  { volumes, before }: { volumes: ReadonlySet<unknown>; before: readonly JsonRecord[] },
): Cause[] {
  const mountPath = stringAt(mount, 'mountPath') ?? '';
  const causes: Cause[] = [];
  if (!volumes.has(mount['name']))
    causes.push({
      reason: 'FieldValueNotFound',
      message: `Not found: ${JSON.stringify(mount['name'])}`,
      field: `${path}.name`,
    });
  if (mountPath === '') causes.push(requiredValue(`${path}.mountPath`));
  else if (before.some((other) => other['mountPath'] === mountPath))
    causes.push(invalidValue(`${path}.mountPath`, mountPath, 'must be unique'));
  return causes;
}

function validateVariable(variable: JsonRecord, path: string): Cause[] {
  const causes: Cause[] = [];
  if ((stringAt(variable, 'name') ?? '') === '') causes.push(requiredValue(`${path}.name`));
  if ((stringAt(variable, 'value') ?? '') !== '' && variable['valueFrom'] !== undefined)
    causes.push(invalidValue(`${path}.valueFrom`, '', 'may not be specified when `value` is not empty'));
  return causes;
}

function validateContainerPorts(ports: readonly JsonRecord[], path: string): Cause[] {
  return ports.flatMap((port, index) => {
    const name = stringAt(port, 'name');
    const isTaken = name !== undefined && ports.slice(0, index).some((other) => other['name'] === name);
    return [
      ...(isTaken ? [duplicateValue(`${path}.ports[${index}].name`, name)] : []),
      ...(port['containerPort'] === undefined ? [requiredValue(`${path}.ports[${index}].containerPort`)] : []),
    ];
  });
}

const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'] as const;

function validateProbe(probe: unknown, path: string): Cause[] {
  if (probe === undefined) return [];
  const given = handlers.filter((name) => at(probe, name) !== undefined);
  if (given.length === 0) return [requiredValue(path, 'must specify a handler type')];
  return given.slice(1).map((name) => forbiddenValue(`${path}.${name}`, 'may not specify more than 1 handler type'));
}

function validateVolumes(spec: JsonRecord, path: string): Cause[] {
  const volumes = recordsOf(spec['volumes']);
  return volumes.flatMap((volume, index) => {
    const here = `${path}.volumes[${index}]`;
    const { name, ...sources } = volume;
    const causes = kindsOf(sources)
      .slice(1)
      .map((source) => forbiddenValue(`${here}.${source}`, 'may not specify more than 1 volume type'));
    if (name === undefined || name === '') return [...causes, requiredValue(`${here}.name`)];
    return volumes.slice(0, index).some((other) => other['name'] === name)
      ? [...causes, duplicateValue(`${here}.name`, name)]
      : causes;
  });
}

/**
 * The names of a volume's sources, in the order in which kube-apiserver checks them, so that the first error is the
 * same.
 */
function kindsOf(sources: JsonRecord): readonly string[] {
  const names = Object.keys(sources).sort();
  return [...names.filter((name) => name === 'emptyDir'), ...names.filter((name) => name !== 'emptyDir')];
}

const mutablePodFields = new Set(['activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds']);

/** Refuses changes of a pod's spec, except for images and the fields of `mutablePodFields`. */
export function validatePodChange(draft: ObjectDraft, old: StoredObject): readonly Cause[] {
  const fixed = (object: unknown): JsonRecord => {
    const spec = { ...recordOf(at(object, 'spec')) };
    for (const field of mutablePodFields) delete spec[field];
    for (const field of ['containers', 'initContainers'])
      if (spec[field] !== undefined) spec[field] = recordsOf(spec[field]).map(({ image: _image, ...rest }) => rest);
    // Allow the scheduler to set nodeName once.
    if (stringAt(old, 'spec', 'nodeName') === undefined) delete spec['nodeName'];
    return spec;
  };
  if (isSame(fixed(draft), fixed(old))) return [];
  const allowed = [
    'spec.containers[*].image',
    'spec.initContainers[*].image',
    'spec.activeDeadlineSeconds',
    'spec.tolerations',
  ]
    .map((field) => `\`${field}\``)
    .join(',');
  return [
    forbiddenValue(
      'spec',
      `pod updates may not change fields other than ${allowed} (only additions to existing ` +
        `tolerations),\`spec.terminationGracePeriodSeconds\` (allow it to be set to 1 if it was previously negative)`,
    ),
  ];
}
