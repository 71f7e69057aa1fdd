/**
 * What built-in resources do on create and update, apart from defaulting.
 * Owns: initial statuses, generations, and the immutability rules that the operator relies on.
 */
import {
  at,
  copyOf,
  isSame,
  recordIn,
  recordOf,
  recordsOf,
  setDefault,
  stringAt,
  numberAt,
  type JsonRecord,
} from '../../../lib/json.ts';
import type { StoredObject } from '../../objects.ts';
import type { ObjectDraft, Rules } from '../resource.ts';
import { forbiddenValue, invalidValue, requiredValue, type Cause } from '../../../kube/schema/cause.ts';
import {
  claimDefaults,
  deploymentDefaults,
  endpointSliceDefaults,
  podDefaults,
  replicaSetDefaults,
  secretDefaults,
  serviceDefaults,
} from './defaults.ts';
import { serviceAddresses } from './service-addresses.ts';
import { validateDeployment, validatePod, validatePodChange, validateReplicaSet } from './workload-rules.ts';

export const plainRules: Rules = { hasGeneration: false };

export const podRules: Rules = {
  hasGeneration: true,
  setDefaults: podDefaults,
  beforeCreate(draft) {
    const spec = recordIn(draft, 'spec');
    if (spec['serviceAccountName'] === undefined)
      Object.assign(spec, { serviceAccountName: 'default', serviceAccount: 'default' });
    draft['status'] = { phase: 'Pending', qosClass: qosClassOf(spec) };
  },
  validate: (draft, old) =>
    old === undefined ? validatePod(draft) : [...validatePod(draft), ...validatePodChange(draft, old)],
  selectable: (pod) => ({
    'spec.nodeName': stringAt(pod, 'spec', 'nodeName') ?? '',
    'spec.restartPolicy': stringAt(pod, 'spec', 'restartPolicy') ?? '',
    'spec.schedulerName': stringAt(pod, 'spec', 'schedulerName') ?? '',
    'spec.serviceAccountName': stringAt(pod, 'spec', 'serviceAccountName') ?? '',
    'status.phase': stringAt(pod, 'status', 'phase') ?? '',
    'status.podIP': stringAt(pod, 'status', 'podIP') ?? '',
  }),
};

/**
 * Guaranteed: every container has cpu and memory limits that are equal to its requests. BestEffort: no container has a
 * limit or a request of cpu or memory. Burstable: any other pod.
 */
function qosClassOf(spec: JsonRecord): string {
  const containers = [...recordsOf(spec['containers']), ...recordsOf(spec['initContainers'])];
  const amounts = (container: JsonRecord, which: string): JsonRecord => recordOf(at(container, 'resources', which));
  const asks = containers.some((one) =>
    ['requests', 'limits'].some(
      (which) => amounts(one, which)['cpu'] !== undefined || amounts(one, which)['memory'] !== undefined,
    ),
  );
  if (!asks) return 'BestEffort';
  const fixed = containers.every((one) =>
    ['cpu', 'memory'].every(
      (name) =>
        amounts(one, 'limits')[name] !== undefined &&
        isSame(amounts(one, 'limits')[name], amounts(one, 'requests')[name]),
    ),
  );
  return fixed ? 'Guaranteed' : 'Burstable';
}

export const deploymentRules: Rules = {
  hasGeneration: true,
  countsAnnotations: true,
  setDefaults: deploymentDefaults,
  validate: validateDeployment,
};

export const replicaSetRules: Rules = {
  hasGeneration: true,
  setDefaults: replicaSetDefaults,
  beforeCreate: (draft) => void (draft['status'] = { replicas: 0 }),
  validate: validateReplicaSet,
};

export const controllerRevisionRules: Rules = {
  hasGeneration: false,
  validate(draft, old) {
    const causes: Cause[] = [];
    if (draft['data'] === undefined || draft['data'] === null) causes.push(requiredValue('data', 'data is mandatory'));
    if (typeof draft['revision'] === 'number' && draft['revision'] < 0)
      causes.push(invalidValue('revision', draft['revision'], 'must be greater than or equal to 0'));
    // kube-apiserver compares the encoded texts of the data. Data with another order of fields therefore counts as
    // changed.
    if (old !== undefined && JSON.stringify(draft['data']) !== JSON.stringify(old['data']))
      causes.push(invalidValue('data', draft['data'], 'field is immutable'));
    return causes;
  },
  setDefaults: (draft) => void (draft['revision'] ??= 0),
};

/**
 * @param range the range of ClusterIPs, as CIDR
 * @param taken the addresses in use
 */
export function serviceRules(range: string, taken: () => ReadonlySet<string>): Rules {
  const addresses = serviceAddresses(range, taken);
  return {
    hasGeneration: false,
    setDefaults: serviceDefaults,
    beforeCreate(draft) {
      addresses.give(recordIn(draft, 'spec'));
      draft['status'] = { loadBalancer: {} };
    },
    beforeUpdate(draft, old) {
      addresses.keep(recordIn(draft, 'spec'), recordOf(old['spec']));
    },
    validate: addresses.validate,
  };
}

export const namespaceRules: Rules = {
  hasGeneration: false,
  setDefaults(draft) {
    recordIn(draft.metadata, 'labels')['kubernetes.io/metadata.name'] = stringAt(draft.metadata, 'name') ?? '';
  },
  beforeCreate(draft) {
    draft['spec'] = { finalizers: ['kubernetes'] };
    draft['status'] = { phase: 'Active' };
  },
  beforeUpdate(draft, old) {
    draft['spec'] = copyOf(old['spec']);
  },
  selectable: (namespace) => ({ 'status.phase': stringAt(namespace, 'status', 'phase') ?? '' }),
};

export const secretRules: Rules = {
  hasGeneration: false,
  setDefaults: secretDefaults,
  validate: (draft, old) => [
    ...immutableData(draft, old),
    ...(old !== undefined && draft['type'] !== old['type']
      ? [invalidValue('type', draft['type'], 'field is immutable')]
      : []),
  ],
  selectable: (secret) => ({ type: stringAt(secret, 'type') ?? '' }),
};

export const configMapRules: Rules = {
  hasGeneration: false,
  validate: (draft, old) => [...validKeys(draft), ...immutableData(draft, old)],
};

function validKeys(draft: ObjectDraft): readonly Cause[] {
  const keys = ['data', 'binaryData'].flatMap((field) =>
    Object.keys(recordOf(draft[field])).map((key) => ({ field: `${field}[${key}]`, key })),
  );
  return keys
    .filter(({ key }) => !/^[-._a-zA-Z0-9]+$/.test(key))
    .map(({ field, key }) =>
      invalidValue(
        field,
        key,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or " +
          "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ),
    );
}

function immutableData(draft: ObjectDraft, old: StoredObject | undefined): readonly Cause[] {
  if (old?.['immutable'] !== true) return [];
  const changed = ['data', 'binaryData'].filter((field) => !isSame(draft[field], old[field]));
  return [
    ...(draft['immutable'] === true ? [] : [forbiddenValue('immutable', 'field is immutable when `immutable` is set')]),
    ...changed.map((field) => forbiddenValue(field, 'field is immutable when `immutable` is set')),
  ];
}

export const claimRules: Rules = {
  hasGeneration: false,
  setDefaults: claimDefaults,
  beforeCreate: (draft) => void (draft['status'] = { phase: 'Pending' }),
};

export const endpointsRules: Rules = {
  hasGeneration: false,
  setDefaults(draft) {
    for (const subset of recordsOf(draft['subsets']))
      for (const port of recordsOf(subset['ports'])) setDefault(port, 'protocol', 'TCP');
  },
};

export const endpointSliceRules: Rules = { hasGeneration: true, setDefaults: endpointSliceDefaults };

export const leaseRules: Rules = { hasGeneration: false, validate: validateLease };

export const nodeRules: Rules = { hasGeneration: false };

function validateLease(draft: ObjectDraft): readonly Cause[] {
  const causes: Cause[] = [];
  const seconds = numberAt(draft, 'spec', 'leaseDurationSeconds');
  if (seconds !== undefined && seconds <= 0)
    causes.push(invalidValue('spec.leaseDurationSeconds', seconds, 'must be greater than 0'));
  const transitions = numberAt(draft, 'spec', 'leaseTransitions');
  if (transitions !== undefined && transitions < 0)
    causes.push(invalidValue('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  return causes;
}
