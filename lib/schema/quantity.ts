/**
 * Resource quantities: `1500m`, `2Gi`, `1e3`.
 *
 * Pure: reads them into whole nano-units, and writes the canonical form that the real server answers with.
 */

export const quantityPattern = /^([+-]?)(\d+\.?\d*|\.\d+)(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?\d+))$/;

export const quantityRule = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const nano = 1_000_000_000n;
const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimal: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };

/** @returns billionths, rounded up; undefined for what is no quantity */
export function nanosOf(text: string): bigint | undefined {
  const found = quantityPattern.exec(text);
  if (found === null) return undefined;
  const [, sign = '', digits = '', binarySuffix = '', decimalSuffix = '', exponent] = found;
  const [whole = '', fraction = ''] = digits.split('.');
  const scaled = BigInt(`0${whole}${fraction}`) * 1024n ** BigInt(binary.indexOf(binarySuffix));
  const nanos = shifted(scaled, 9 - fraction.length + Number(exponent ?? decimal[decimalSuffix]));
  return sign === '-' ? -nanos : nanos;
}

/** times 10^power, rounded up */
function shifted(value: bigint, power: number): bigint {
  const factor = 10n ** BigInt(Math.min(Math.abs(power), 60));
  return power >= 0 ? value * factor : roundUp(value, factor);
}

function roundUp(value: bigint, by: bigint): bigint {
  return value / by + (value % by === 0n ? 0n : 1n);
}

/** The form the API answers with: the largest suffix of its kind that leaves a whole number. */
export function canonicalQuantity(text: string): string {
  const nanos = nanosOf(text);
  if (nanos === undefined || /[eE][+-]?\d+$/.test(text)) return text;
  if (nanos === 0n) return '0';
  const [sign, size] = nanos < 0n ? ['-', -nanos] : ['', nanos];
  if (text.includes('i') && size % nano === 0n) return `${sign}${largest(size / nano, binary.map((suffix, index) => [suffix, 1024n ** BigInt(index)]))}`;
  return `${sign}${largest(size, Object.entries(decimal).map(([suffix, power]) => [suffix, 10n ** BigInt(power + 9)]))}`;
}

function largest(size: bigint, units: readonly (readonly [string, bigint])[]): string {
  const fitting = units.filter(([, unit]) => size % unit === 0n).sort(([, a], [, b]) => (a < b ? 1 : -1));
  const [suffix, unit] = fitting[0] ?? ['', 1n];
  return `${size / unit}${suffix}`;
}
