/**
 * The backends for a new connection to a Service.
 * Owns: the choice. Ready endpoints have equal chances. When no endpoint is ready, terminating endpoints that still
 * serve are used. When no endpoint serves, the list is empty.
 * Pure: the random number is passed in.
 */
import type { ServicePort } from '../../kube/kinds.ts';
import type { EndpointSlice } from '../workloads/resources.ts';

export type Backend = { readonly host: string; readonly port: number };

/**
 * @param slices the EndpointSlices of the Service
 * @returns the backends that currently accept new connections to this port
 */
export function backendsOf(port: ServicePort, slices: readonly EndpointSlice[]): readonly Backend[] {
  const ready: Backend[] = [];
  const leaving: Backend[] = [];
  for (const slice of slices) {
    const target = slice.ports?.find((one) => (one.name ?? '') === (port.name ?? ''))?.port;
    if (target === undefined) continue;
    for (const { addresses, conditions } of slice.endpoints) {
      const list = listFor(conditions, ready, leaving);
      for (const host of addresses) list?.push({ host, port: target });
    }
  }
  return ready.length > 0 ? ready : leaving;
}

/** The list that an endpoint belongs to. An absent `ready` means ready, as in the API. */
function listFor(
  conditions: EndpointSlice['endpoints'][number]['conditions'],
  ready: Backend[],
  leaving: Backend[],
): Backend[] | undefined {
  if (conditions.ready ?? true) return ready;
  return conditions.terminating === true && conditions.serving === true ? leaving : undefined;
}

/**
 * The order in which to try backends: a random backend first, then the backends after it in the list, then those
 * before it.
 *
 * @param random in [0, 1)
 */
export function tryOrder(backends: readonly Backend[], random: number): readonly Backend[] {
  const first = Math.floor(random * backends.length);
  return [...backends.slice(first), ...backends.slice(0, first)];
}
