/**
 * Translates the revision's configuration into ONNX Runtime's session options.
 *
 * Owns:  the translation. Options that the binding silently ignores (free dimension overrides, run options, arena
 *        limits) are not offered.
 * Pure:  the result is plain data that can be sent to a worker.
 */
import type { ProviderName } from '../../api/choices.ts';
import type { ExecutionConfig, GraphOptimization, MemoryConfig } from '../../api/runtime-config.ts';
import { hasFreeShape, type Signature } from './signature.ts';
import type { Threads } from './threads.ts';

export type ProviderOption = { readonly name: string } & Readonly<Record<string, string | number>>;

export type SessionOptions = {
  readonly executionProviders: readonly ProviderOption[];
  readonly intraOpNumThreads: number;
  readonly interOpNumThreads: 1;
  readonly executionMode: 'sequential';
  readonly graphOptimizationLevel: 'disabled' | 'basic' | 'extended' | 'all';
  readonly enableCpuMemArena: boolean;
  readonly enableMemPattern: boolean;
  readonly logSeverityLevel: 4;
  /** Session config entries by their full, dotted names. */
  readonly extra: Readonly<Record<string, string>>;
};

export type SessionPlan = {
  readonly execution: ExecutionConfig;
  readonly memory: MemoryConfig;
  readonly threads: Threads;
  readonly signature: Signature;
  /** Whether to use the arena, when `memory.arena` is Auto; absent: only for inputs of fixed sizes. */
  readonly arena?: boolean;
  /** True if prepare already optimised the graph on disk; optimising it again is not needed. */
  readonly optimized: boolean;
};

const providers = { CPU: 'cpu', CUDA: 'cuda', TensorRT: 'tensorrt', WebGPU: 'webgpu' } as const satisfies Record<
  ProviderName,
  string
>;
const levels = { Disabled: 'disabled', Basic: 'basic', Extended: 'extended', All: 'all' } as const satisfies Record<
  GraphOptimization,
  string
>;

export function sessionOptions(plan: SessionPlan): SessionOptions {
  const { execution, threads } = plan;
  const arena = usesArena(plan.memory, plan.signature, plan.arena);
  return {
    executionProviders: execution.providers.map(({ name, options }) => ({ ...options, name: providers[name] })),
    intraOpNumThreads: threads.threadsPerWorker,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: plan.optimized ? 'disabled' : levels[execution.graphOptimization],
    enableCpuMemArena: arena,
    // ONNX Runtime keeps a memory pattern for every input size that it has seen, so patterns are only used for fixed
    // sizes. With varying sizes a pattern saves no CPU time (measured).
    enableMemPattern: arena && !hasFreeShape(plan.signature),
    // Failures are reported as exceptions; ONNX Runtime's own coloured lines would only break up the log.
    logSeverityLevel: 4,
    extra: { ...spinEntries(threads.spin), ...execution.sessionConfig },
  };
}

/**
 * Whether sessions use the arena, which never shrinks. With `Auto`, a measurement decides (config/allocation.ts).
 * Without a measurement the arena is on if sizes are fixed, and off if they vary, because the memory of one large
 * request would never be freed.
 */
export function usesArena(memory: Pick<MemoryConfig, 'arena'>, signature: Signature, measured?: boolean): boolean {
  return memory.arena === 'Auto' ? (measured ?? !hasFreeShape(signature)) : memory.arena === 'On';
}

function spinEntries(spin: Threads['spin']): Record<string, string> {
  return spin === 'Off'
    ? { 'session.intra_op.allow_spinning': '0' }
    : { 'session.intra_op.allow_spinning': '1', 'session.intra_op.spin_duration_us': '50' };
}
