/**
 * ClusterIPs: allocated on create, kept on update, immutable.
 * Owns: choosing a free address of the range. It is a loopback range, so that programs on this machine can connect to a
 * Service.
 */
import { randomInt } from 'node:crypto';
import { copyOf, listOf, recordOf, recordsOf, stringAt, type JsonRecord } from '../../../lib/json.ts';
import type { StoredObject } from '../../objects.ts';
import type { ObjectDraft } from '../resource.ts';
import { duplicateValue, invalidValue, requiredValue, type Cause } from '../../../kube/schema/cause.ts';
import { StatusError } from '../status.ts';

export type ServiceAddresses = {
  readonly give: (spec: JsonRecord) => void;
  readonly keep: (spec: JsonRecord, old: JsonRecord) => void;
  readonly validate: (draft: ObjectDraft, old: StoredObject | undefined) => readonly Cause[];
};

const tries = 1_000;

export function serviceAddresses(range: string, taken: () => ReadonlySet<string>): ServiceAddresses {
  const { first, size } = parseRange(range);
  return {
    give(spec) {
      if (spec['type'] === 'ExternalName') return;
      const asked = stringAt(spec, 'clusterIP') ?? '';
      const address = asked === '' ? freeAddress(first, size, taken()) : asked;
      spec['clusterIP'] = address;
      spec['clusterIPs'] = [address];
      spec['ipFamilies'] ??= ['IPv4'];
      spec['ipFamilyPolicy'] ??= 'SingleStack';
    },
    keep(spec, old) {
      for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
        if (spec[field] === undefined && old[field] !== undefined) spec[field] = copyOf(old[field]);
      }
    },
    validate(draft, old) {
      const now = stringAt(draft, 'spec', 'clusterIP');
      const before = stringAt(old, 'spec', 'clusterIP');
      if (old === undefined || before === undefined || now === before) return validatePorts(draft);
      return [invalidValue('spec.clusterIPs[0]', listOf([now]), 'may not change once set'), ...validatePorts(draft)];
    },
  };
}

function validatePorts(draft: ObjectDraft): readonly Cause[] {
  const spec = recordOf(draft['spec']);
  const ports = recordsOf(spec['ports']);
  const mayHaveNone = spec['clusterIP'] === 'None' || spec['type'] === 'ExternalName';
  if (ports.length === 0 && !mayHaveNone) return [requiredValue('spec.ports')];
  return ports.flatMap((port, index) =>
    validatePort(port, `spec.ports[${index}]`, { before: ports.slice(0, index), mustBeNamed: ports.length > 1 }),
  );
}

function validatePort(
  port: JsonRecord,
  path: string,
  among: { before: readonly JsonRecord[]; mustBeNamed: boolean },
): Cause[] {
  const { port: number, protocol } = port;
  const causes: Cause[] = [];
  if (typeof number !== 'number' || number < 1 || number > 65_535)
    causes.push(invalidValue(`${path}.port`, number, 'must be between 1 and 65535, inclusive'));
  if (among.mustBeNamed && stringAt(port, 'name') === undefined) causes.push(requiredValue(`${path}.name`));
  const name = stringAt(port, 'name');
  if (name !== undefined && among.before.some((other) => other['name'] === name))
    causes.push(duplicateValue(`${path}.name`, name));
  if (among.before.some((other) => other['port'] === number && other['protocol'] === protocol))
    causes.push(duplicateValue(path, { port: number, protocol }));
  return causes;
}

function parseRange(range: string): { first: number; size: number } {
  const [address = '', bits = ''] = range.split('/');
  const octets = address.split('.').map(Number);
  const prefix = Number(bits);
  if (
    octets.length !== 4 ||
    octets.some((octet) => !Number.isInteger(octet) || octet < 0 || octet > 255) ||
    !Number.isInteger(prefix) ||
    prefix < 8 ||
    prefix > 30
  ) {
    throw new Error(`${range} is not a usable IPv4 range`);
  }
  const size = 2 ** (32 - prefix);
  const number = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  return { first: Math.floor(number / size) * size, size };
}

/** A random free address, as on kube-apiserver, so that the address of a deleted Service is not reused at once. */
function freeAddress(first: number, size: number, taken: ReadonlySet<string>): string {
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const number = first + randomInt(1, size - 1);
    const address = [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
    if (!taken.has(address)) return address;
  }
  throw new StatusError(500, 'InternalError', 'failed to allocate a serviceIP: range is full');
}
