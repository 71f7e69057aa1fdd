/**
 * Which address a new connection to a Service goes to.
 *
 * Owns:  the choice: ready endpoints, all alike; without any, those on their way out that still serve; else none.
 * Pure:  chance comes in as a number.
 */
import type { EndpointSlice, ServicePort } from '../workloads/resources.ts';

export type Backend = { readonly host: string; readonly port: number };

/**
 * @param slices those of the Service
 * @returns the backends that take new connections of this port now
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

/** An absent `ready` means ready, as the API has it. */
function listFor(
  conditions: EndpointSlice['endpoints'][number]['conditions'],
  ready: Backend[],
  leaving: Backend[],
): Backend[] | undefined {
  if (conditions.ready ?? true) return ready;
  return conditions.terminating === true && conditions.serving === true ? leaving : undefined;
}

/**
 * The order in which to try: a random one first, then the rest round from there.
 *
 * @param random in [0, 1)
 */
export function tryOrder(backends: readonly Backend[], random: number): readonly Backend[] {
  const first = Math.floor(random * backends.length);
  return [...backends.slice(first), ...backends.slice(0, first)];
}
