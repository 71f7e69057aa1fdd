/**
 * Quantities of Kubernetes: `1500m`, `2Gi`, `.5`, `1E9`, `100u`. Pure.
 *
 * Owns:   the grammar, for the CRD's patterns, the operator, the command line, the runtime and local mode.
 * Limits: at most 64 characters, and at most three digits in the exponent. Kubernetes caps amounts at 2^63 - 1; this
 *         file does not.
 */

const number = '([0-9]+\\.?[0-9]*|\\.[0-9]+)';
const suffix = '(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]+)?';

/** The grammar for the CRD. It does not allow a minus, because no field accepts a negative amount. */
export const quantityPattern = `^\\+?${number}${suffix}$`;

/** The API server's message for text that is not a quantity. */
export const quantityRule =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const grammar = new RegExp(`^([+-]?)${number}${suffix}$`);
const maxLength = 64;
const maxExponent = 999;

const nano = 1_000_000_000n;
const binary = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
/** Exponents of ten rather than factors: "700e-3" parses to exactly 0.7, but 700 × 0.001 is not exactly 0.7. */
const decimal: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };

type Parts = {
  readonly sign: string;
  readonly digits: string;
  /** Power of 1024. */ readonly kibi: number;
  /** Power of ten. */ readonly exponent: number;
};

function partsOf(text: string): Parts | undefined {
  const [, sign = '', digits = '', unit = ''] = (text.length > maxLength ? null : grammar.exec(text)) ?? [];
  const kibi = Math.max(0, binary.indexOf(unit));
  const exponent = kibi > 0 ? 0 : exponentOf(unit);
  return digits === '' || Math.abs(exponent) > maxExponent ? undefined : { sign, digits, kibi, exponent };
}

/** The power of ten of a decimal suffix, or of a suffix such as "e-3". */
function exponentOf(unit: string): number {
  return decimal[unit] ?? Number(unit.slice(1));
}

/**
 * @param value as in JSON, where an integer may be written without quotes
 * @returns the number that a quantity stands for (bytes of memory, cores of CPU), or undefined when the value is not a
 * quantity
 */
export function parseQuantity(value: string | number): number | undefined {
  const parts = partsOf(String(value));
  if (parts === undefined) return undefined;
  const { sign, digits, kibi, exponent } = parts;
  const size = kibi > 0 ? Number(digits) * 1024 ** kibi : Number(`${digits}e${exponent}`);
  return sign === '-' ? -size : size;
}

/** @returns billionths, rounded away from zero as Kubernetes does; undefined when the text is not a quantity */
export function nanosOf(text: string): bigint | undefined {
  const parts = partsOf(text);
  if (parts === undefined) return undefined;
  const [whole = '', fraction = ''] = parts.digits.split('.');
  const scaled = BigInt(`0${whole}${fraction}`) * 1024n ** BigInt(parts.kibi);
  const nanos = shifted(scaled, 9 - fraction.length + parts.exponent);
  return parts.sign === '-' ? -nanos : nanos;
}

/** value × 10^power, rounded up. */
function shifted(value: bigint, power: number): bigint {
  const factor = 10n ** BigInt(Math.abs(power));
  return power >= 0 ? value * factor : value / factor + (value % factor === 0n ? 0n : 1n);
}

/**
 * The form that the API server returns: an integer with the largest possible suffix. The suffix is binary if the text
 * has a binary suffix and the amount is an integer, otherwise decimal. Text with an exponent and text that is not a
 * quantity are returned unchanged.
 */
export function canonicalQuantity(text: string): string {
  const nanos = nanosOf(text);
  if (nanos === undefined || /[eE][+-]?\d+$/.test(text)) return text;
  if (nanos === 0n) return '0';
  const [sign, size] = nanos < 0n ? ['-', -nanos] : ['', nanos];
  if (text.includes('i') && size % nano === 0n)
    return `${sign}${largest(
      size / nano,
      binary.map((unit, index) => [unit, 1024n ** BigInt(index)]),
    )}`;
  return `${sign}${largest(
    size,
    Object.entries(decimal).map(([unit, power]) => [unit, 10n ** BigInt(power + 9)]),
  )}`;
}

function largest(size: bigint, units: readonly (readonly [string, bigint])[]): string {
  const fitting = units.filter(([, unit]) => size % unit === 0n).sort(([, a], [, b]) => (a < b ? 1 : -1));
  const [unit, one] = fitting[0] ?? ['', 1n];
  return `${size / one}${unit}`;
}
