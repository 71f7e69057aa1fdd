/**
 * Computes the key of an optimised model: it changes with the model, its options, ONNX Runtime and the CPU.
 *
 * Owns:  the list of what the optimised form depends on. The CPU is in the list, because weights are laid out for the
 *        CPU's vector instructions. With a file that was made for another CPU, the results would be wrong without any
 *        error.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ExecutionConfig, MemoryConfig } from '../../../api/runtime-config.ts';

export type KeyParts = {
  /** Digest of the source. */
  readonly digest: string;
  /** Path of the graph in the source. */
  readonly graph: string;
  readonly execution: ExecutionConfig;
  readonly memory: MemoryConfig;
  readonly limitBytes: number | undefined;
};

/** Increase this when the format of the files in the folder changes. */
const formVersion = 2;

/** @returns 32 hex digits */
export function buildKey(parts: KeyParts, machine: string = describeMachine()): string {
  const { execution, memory } = parts;
  // The numbers of workers and threads are left out: the optimised form does not depend on them.
  const options = [
    execution.providers,
    execution.fallbackPolicy,
    execution.graphOptimization,
    sorted(execution.sessionConfig),
    memory.arena,
    parts.limitBytes ?? null,
  ];
  return createHash('sha256')
    .update(JSON.stringify([formVersion, parts.digest, parts.graph, options, machine]))
    .digest('hex')
    .slice(0, 32);
}

/** ONNX Runtime's version, the architecture, and the features of the first CPU. */
export function describeMachine(): string {
  return JSON.stringify([engineVersion(), process.arch, cpuFlags(readCpuInfo())]);
}

function engineVersion(): string {
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { readonly version: string };
  return version;
}

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

/** The features in /proc/cpuinfo. Their line is named flags on x86 and Features on Arm. */
export function cpuFlags(cpuInfo: string): readonly string[] {
  const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuInfo)?.[1] ?? '';
  return line
    .split(/\s+/)
    .filter((flag) => flag !== '')
    .sort();
}

function sorted(entries: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  return Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1));
}
