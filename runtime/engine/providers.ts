/**
 * Which execution providers a session is made with, when not all that were asked for are here.
 *
 * Owns:  the try-chain and what `fallbackPolicy` means for it. ONNX Runtime itself throws when a listed provider is
 *        missing, whatever stands behind it in the list.
 * Pure.
 */
import type { ProviderName } from '../../api/choices.ts';
import type { ExecutionConfig } from '../../api/runtime-config.ts';

export type ProviderPlan = {
  readonly chain: readonly ProviderName[];
  /** Session config entries that this plan needs. */
  readonly sessionConfig: Readonly<Record<string, string>>;
};

type Asked = Pick<ExecutionConfig, 'providers' | 'fallbackPolicy'>;

/** The providers whose being here has to be found out before; CPU always is. */
export function providersToProbe({ providers, fallbackPolicy }: Asked): readonly ProviderName[] {
  const names = providers.map(({ name }) => name);
  const concerned = fallbackPolicy === 'Forbid' ? names.slice(0, 1) : names;
  return concerned.filter((name) => name !== 'CPU');
}

/**
 * Forbid: the first provider alone, and ONNX Runtime is told not to put nodes on the CPU. Otherwise those that are
 * here, in order.
 */
export function planProviders({ providers, fallbackPolicy }: Asked, missing: ReadonlySet<ProviderName>): ProviderPlan {
  const names = providers.map(({ name }) => name);
  const [first = 'CPU'] = names;
  if (fallbackPolicy === 'Forbid') {
    // Naming the CPU beside this entry is an error to ONNX Runtime; not naming it is not.
    return { chain: [first], sessionConfig: first === 'CPU' ? {} : { 'session.disable_cpu_ep_fallback': '1' } };
  }
  const here = names.filter((name) => !missing.has(name));
  // The CPU runs what the others cannot; behind it in the list nothing would ever be used.
  const beforeCpu = here.includes('CPU') ? here.slice(0, here.indexOf('CPU')) : here;
  return { chain: [...beforeCpu, 'CPU'], sessionConfig: {} };
}
