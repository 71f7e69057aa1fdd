/**
 * Computes the environment and the expanded command line of a container.
 * Owns: the downward API (fieldRef, resourceFieldRef), keys of ConfigMaps, and `$(NAME)` in values and args.
 * Pure: the facts about the pod and the node are passed in. A value that cannot be resolved does not throw: the result
 * contains a `problem`, and the container waits with CreateContainerConfigError.
 */
import { parseQuantity } from '../../api/quantities.ts';
import type { Container, EnvVar, StoredPod } from './pod.ts';
import { ownValue } from '../../api/record.ts';

export type EnvFacts = {
  readonly pod: StoredPod;
  readonly podIp: string;
  readonly hostIp: string;
  /** The node's allocatable amounts. resourceFieldRef uses them for a container without a limit. */
  readonly capacity: { readonly cpu: number; readonly memoryBytes: number };
  readonly configMap: (name: string) => Readonly<Record<string, string>> | undefined;
};

export type EnvOutcome = { readonly env: Readonly<Record<string, string>> } | { readonly problem: string };

/** @returns the variables in order; the value of a variable may use `$(NAME)` of an earlier variable */
export function containerEnv(container: Container, facts: EnvFacts): EnvOutcome {
  const env: Record<string, string> = {};
  if ((container.envFrom ?? []).length > 0) return { problem: 'envFrom is not supported in local mode' };
  for (const variable of container.env ?? []) {
    const outcome = valueOf(variable, container, facts);
    if (typeof outcome === 'object') return outcome;
    if (outcome !== undefined)
      env[variable.name] = variable.valueFrom === undefined ? expandVariables(outcome, env) : outcome;
  }
  return { env };
}

/**
 * Replaces `$(NAME)` by the value of the variable, and `$$` by a dollar sign. A reference to an unknown name stays in
 * the text.
 */
export function expandVariables(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)/g, (found, name: string | undefined) => {
    if (name === undefined) return '$';
    return Object.hasOwn(env, name) ? (env[name] ?? '') : found;
  });
}

type Value = string | undefined | { readonly problem: string };

function valueOf(variable: EnvVar, container: Container, facts: EnvFacts): Value {
  const from = variable.valueFrom;
  if (from === undefined) return variable.value ?? '';
  if (from.fieldRef !== undefined) return fieldValue(from.fieldRef.fieldPath, facts);
  if (from.resourceFieldRef !== undefined) return resourceValue(from.resourceFieldRef, container, facts);
  if (from.configMapKeyRef !== undefined) return configValue(from.configMapKeyRef, facts);
  return { problem: `env ${variable.name}: this kind of valueFrom is not supported in local mode` };
}

function fieldValue(path: string, { pod, podIp, hostIp }: EnvFacts): Value {
  const { metadata, spec } = pod;
  const plain: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'status.podIP': podIp,
    'status.podIPs': podIp,
    'status.hostIP': hostIp,
    'spec.serviceAccountName': 'default',
  };
  if (Object.hasOwn(plain, path)) return plain[path] ?? '';
  const [, kind, key = ''] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? [];
  if (kind === undefined) return { problem: `unsupported fieldPath: ${path}` };
  return ownValue((kind === 'labels' ? metadata.labels : metadata.annotations) ?? {}, key) ?? '';
}

type ResourceRef = { readonly containerName?: string; readonly resource: string; readonly divisor?: string };

function resourceValue(ref: ResourceRef, own: Container, { pod, capacity }: EnvFacts): Value {
  const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const container = ref.containerName === undefined ? own : all.find((one) => one.name === ref.containerName);
  const [, kind, name = ''] = /^(limits|requests)\.([\w.\-/]+)$/.exec(ref.resource) ?? [];
  if (container === undefined || kind === undefined)
    return { problem: `unsupported resourceFieldRef: ${ref.resource}` };
  const amount = amountOf(container, kind, name) ?? (kind === 'limits' ? nodeAmount(name, capacity) : 0);
  return String(Math.ceil(amount / divisorOf(ref)));
}

/** The divisor of a resource reference. An absent divisor and "0" both mean 1. */
function divisorOf({ divisor }: ResourceRef): number {
  return parseQuantity(String(divisor ?? '1')) || 1;
}

function amountOf(container: Container, kind: string, name: string): number | undefined {
  const list = kind === 'limits' ? container.resources?.limits : container.resources?.requests;
  return list?.[name] === undefined ? undefined : parseQuantity(list[name]);
}

function nodeAmount(name: string, capacity: EnvFacts['capacity']): number {
  if (name === 'cpu') return capacity.cpu;
  return name === 'memory' ? capacity.memoryBytes : 0;
}

function configValue(
  ref: { readonly name: string; readonly key: string; readonly optional?: boolean },
  facts: EnvFacts,
): Value {
  const value = facts.configMap(ref.name)?.[ref.key];
  if (value !== undefined || ref.optional === true) return value;
  const missing =
    facts.configMap(ref.name) === undefined
      ? `configmap "${ref.name}" not found`
      : `couldn't find key ${ref.key} in ConfigMap ${facts.pod.metadata.namespace}/${ref.name}`;
  return { problem: missing };
}
