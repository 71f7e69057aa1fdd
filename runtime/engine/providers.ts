/**
 * Chooses the execution providers of a session when some of the requested providers are not available.
 *
 * Owns:  the list of providers to try, and the meaning of `fallbackPolicy`. ONNX Runtime itself throws when a listed
 *        provider is missing, even if another provider follows it in the list.
 * Pure.
 */
import type { ProviderName } from '../../api/choices.ts';
import type { ExecutionConfig } from '../../api/runtime-config.ts';

export type ProviderPlan = {
  readonly chain: readonly ProviderName[];
  /** Session config entries that this plan requires. */
  readonly sessionConfig: Readonly<Record<string, string>>;
};

type Asked = Pick<ExecutionConfig, 'providers' | 'fallbackPolicy'>;

/** The providers whose availability must be probed. CPU is always available. */
export function providersToProbe({ providers, fallbackPolicy }: Asked): readonly ProviderName[] {
  const names = providers.map(({ name }) => name);
  const concerned = fallbackPolicy === 'Forbid' ? names.slice(0, 1) : names;
  return concerned.filter((name) => name !== 'CPU');
}

/**
 * With the policy Forbid, the plan has only the first provider, and ONNX Runtime may not place nodes on the CPU.
 * Otherwise the plan has the available providers in the requested order, and the CPU last.
 */
export function planProviders({ providers, fallbackPolicy }: Asked, missing: ReadonlySet<ProviderName>): ProviderPlan {
  const names = providers.map(({ name }) => name);
  const [first = 'CPU'] = names;
  if (fallbackPolicy === 'Forbid') {
    // ONNX Runtime reports an error if the CPU provider is listed together with this session config entry.
    return { chain: [first], sessionConfig: first === 'CPU' ? {} : { 'session.disable_cpu_ep_fallback': '1' } };
  }
  const here = names.filter((name) => !missing.has(name));
  // The CPU runs every node that the other providers cannot run, so a provider that is listed after it would never be
  // used.
  const beforeCpu = here.includes('CPU') ? here.slice(0, here.indexOf('CPU')) : here;
  return { chain: [...beforeCpu, 'CPU'], sessionConfig: {} };
}
