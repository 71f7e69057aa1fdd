/**
 * What an optimised model depends on, as one name: another model, option, ONNX Runtime or CPU is another name.
 *
 * Why the CPU: weights are laid out for its vector instructions; a file made for others gives wrong numbers, not an
 * error.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ExecutionConfig, MemoryConfig } from '../../../api/runtime-config.ts';

export type KeyParts = {
  /** Of the source, and which of its files. */
  readonly digest: string;
  readonly graph: string;
  readonly execution: ExecutionConfig;
  readonly memory: MemoryConfig;
  readonly limitBytes: number | undefined;
};

/** Grows when the files in such a folder change their form. */
const formVersion = 1;

/** @returns 32 hex digits */
export function buildKey(parts: KeyParts, machine: string = describeMachine()): string {
  const { execution, memory } = parts;
  // Not in it: workers and threads, which nothing here depends on.
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

/** ONNX Runtime's version, the architecture, and what the first CPU can do. */
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

/** The line is called flags on x86 and Features on Arm. */
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
