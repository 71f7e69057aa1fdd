/**
 * Reads from ONNX Runtime's profile which execution providers ran a model's nodes.
 *
 * Owns: the profile's format (Chrome trace events; a node's kernel has category Node and its provider in args).
 * Pure.
 */
import type { ProviderUse } from '../../../api/report.ts';
import type { ProviderName } from '../../../api/choices.ts';
import { ownValue } from '../../../api/record.ts';

const names: Readonly<Record<string, ProviderName>> = {
  CPUExecutionProvider: 'CPU',
  CUDAExecutionProvider: 'CUDA',
  TensorrtExecutionProvider: 'TensorRT',
  WebGpuExecutionProvider: 'WebGPU',
};

type Kernel = { readonly provider: ProviderName; readonly node: string; readonly micros: number };

/** @returns the providers, largest share of nodes first; empty when the text is not a profile or has no nodes */
export function providerShares(profile: string): ProviderUse[] {
  const kernels = parse(profile);
  const nodes = new Map<ProviderName, Set<string>>();
  const micros = new Map<ProviderName, number>();
  for (const kernel of kernels) {
    nodes.set(kernel.provider, (nodes.get(kernel.provider) ?? new Set()).add(kernel.node));
    micros.set(kernel.provider, (micros.get(kernel.provider) ?? 0) + kernel.micros);
  }
  const allNodes = sum([...nodes.values()].map((set) => set.size));
  const allMicros = sum(micros.values());
  return [...nodes]
    .map(([provider, set]) => ({
      provider,
      nodes: set.size / allNodes,
      time: allMicros === 0 ? set.size / allNodes : (micros.get(provider) ?? 0) / allMicros,
    }))
    .sort((a, b) => b.nodes - a.nodes);
}

function parse(profile: string): Kernel[] {
  let events: unknown;
  try {
    events = JSON.parse(profile);
  } catch {
    return [];
  }
  return Array.isArray(events) ? events.flatMap((event) => kernelOf(event as Record<string, unknown> | null)) : [];
}

function kernelOf(event: Record<string, unknown> | null): Kernel[] {
  const name = event?.['name'];
  if (event?.['cat'] !== 'Node' || typeof name !== 'string' || !name.endsWith('_kernel_time')) return [];
  const args = event['args'] as { readonly provider?: unknown; readonly node_index?: unknown } | undefined;
  const provider = ownValue(names, String(args?.provider));
  if (provider === undefined) return [];
  // Nodes of subgraphs are numbered from 0 again; index and name together identify a node.
  return [{ provider, node: `${String(args?.node_index)} ${name}`, micros: Number(event['dur'] ?? 0) }];
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
