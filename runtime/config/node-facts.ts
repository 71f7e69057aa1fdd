/** CPU features, which the pod reports to the operator, from the text of /proc/cpuinfo. Pure. */

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
