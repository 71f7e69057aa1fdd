/** Facts about the CPU from the text of /proc/cpuinfo: its features, which the pod reports, and its name. Pure. */

/** The CPU features by which ONNX Runtime selects its kernels. */
const decisive = new Set([
  'avx2',
  'avx512f',
  'avx512_vnni',
  'avx512_bf16',
  'avx_vnni',
  'amx_int8',
  'amx_bf16',
  'asimddp',
  'i8mm',
  'bf16',
  'sve',
]);

/** @returns the features of `decisive` that the first CPU has, sorted */
export function cpuFeatures(cpuinfo: string): readonly string[] {
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  return flags
    .split(' ')
    .filter((name) => decisive.has(name))
    .sort((a, b) => (a < b ? -1 : 1));
}

/** The name of the first CPU; on Arm, which has no names, the numbers of its maker and part. "unknown" without them. */
export function cpuName(cpuinfo: string): string {
  const valueOf = (field: string): string | undefined =>
    new RegExp(`^${field}\\s*:\\s*(.*\\S)`, 'm').exec(cpuinfo)?.[1]?.slice(0, 200);
  const arm = [valueOf('CPU implementer'), valueOf('CPU part')].filter((value) => value !== undefined);
  return valueOf('model name') ?? (arm.length === 0 ? 'unknown' : arm.join(' '));
}
