/**
 * The kinds of the Gateway API that local mode (a Kubernetes cluster in one process) serves, and their definitions.
 * Owns: the paths and types of these kinds. Fields with a default in definitions/ are always present.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { StoredObject, NewObject, Objects, ResourcePath } from '../objects.ts';
import type { Condition } from '../../api/conditions.ts';
import type { ParentRef } from '../../kube/kinds.ts';
import { definitionsPath } from '../workloads/resources.ts';

const apiVersion = 'gateway.networking.k8s.io/v1';
export const gatewayClassesPath = { apiVersion, plural: 'gatewayclasses' } as const satisfies ResourcePath;
export const gatewaysPath = { apiVersion, plural: 'gateways' } as const satisfies ResourcePath;
export const httpRoutesPath = { apiVersion, plural: 'httproutes' } as const satisfies ResourcePath;

/** The `spec.controllerName` of the GatewayClasses that local mode serves. */
export const controllerName = 'onnx-operator.dev/local-gateway';
/** The GatewayClass that always exists. */
export const className = 'local';

export type GatewayCondition = Condition & { readonly observedGeneration: number };
export type RouteParentRef = ParentRef & { readonly group: string; readonly kind: string };
export type Listener = {
  readonly name: string;
  readonly port: number;
  readonly hostname?: string;
  readonly allowedRoutes?: { readonly namespaces?: { readonly from?: 'All' | 'Same' } };
};
export type BackendRef = {
  readonly group: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
  readonly weight: number;
};
export type PathMatch = { readonly type: 'Exact' | 'PathPrefix'; readonly value: string };
export type RouteRule = {
  readonly matches?: readonly { readonly path?: PathMatch }[];
  readonly backendRefs?: readonly BackendRef[];
};

export type GatewayClass = StoredObject & {
  readonly spec: { readonly controllerName: string };
  readonly status?: { readonly conditions?: readonly GatewayCondition[] };
};
export type ListenerStatus = {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly object[];
  readonly conditions: readonly GatewayCondition[];
};
export type StoredGateway = StoredObject & {
  readonly spec: { readonly gatewayClassName: string; readonly listeners: readonly Listener[] };
  readonly status?: {
    readonly conditions?: readonly GatewayCondition[];
    readonly listeners?: readonly ListenerStatus[];
  };
};
export type ParentStatus = {
  readonly parentRef: RouteParentRef;
  readonly controllerName: string;
  readonly conditions: readonly GatewayCondition[];
};
export type StoredHttpRoute = StoredObject & {
  readonly spec: {
    readonly parentRefs?: readonly RouteParentRef[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly RouteRule[];
  };
  readonly status?: { readonly parents?: readonly ParentStatus[] };
};

/** Installs the definitions, as a gateway controller does on a real cluster, and the GatewayClass `local`. */
export function installGatewayApi(objects: Objects): void {
  const dir = join(import.meta.dirname, 'definitions');
  for (const file of readdirSync(dir).sort()) {
    const wanted = parse(readFileSync(join(dir, file), 'utf8')) as NewObject;
    const stored = objects.get({ ...definitionsPath, name: wanted.metadata.name ?? '' });
    if (stored === undefined) objects.create(definitionsPath, wanted);
    else objects.update(definitionsPath, { ...stored, spec: wanted['spec'] });
  }
  if (objects.get({ ...gatewayClassesPath, name: className }) !== undefined) return;
  objects.create(gatewayClassesPath, {
    apiVersion,
    kind: 'GatewayClass',
    metadata: { name: className },
    spec: { controllerName, description: 'HTTP on a loopback address' },
  });
}

type Claim = Omit<GatewayCondition, 'lastTransitionTime' | 'observedGeneration'>;

/**
 * @param now the current time in the API's format
 * @returns the conditions; each condition has the time at which its status last changed
 */
export function conditionsOf(
  before: readonly GatewayCondition[] | undefined,
  claims: readonly Claim[],
  at: { readonly generation: number | undefined; readonly now: string },
): readonly GatewayCondition[] {
  return claims.map((claim) => {
    const same = before?.find((one) => one.type === claim.type && one.status === claim.status);
    return { ...claim, observedGeneration: at.generation ?? 0, lastTransitionTime: same?.lastTransitionTime ?? at.now };
  });
}
