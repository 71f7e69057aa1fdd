/**
 * Shapes of latency as tables, so that a random latency needs only a lookup. A shape is a distribution of ln(latency /
 * base); `base` is the latency at which the shape has the value 0.
 * Owns: the tables, each computed once.
 */
import { shapes } from './scenarios.ts';

/** Random latencies are drawn from `2 ** tableBits` equally likely quantiles of the shape. */
export const tableBits = 16;
export type Table = { readonly ln: Float64Array; /** The logarithm of the mean. */ readonly lnMean: number };
const tables = new Map<string, Table>();

/** ln(latency / base), indexed by the share of requests below this value. */
export function tableOf(shape: keyof typeof shapes): Table {
  const known = tables.get(shape);
  if (known !== undefined) return known;
  const size = 2 ** tableBits;
  const ln = Float64Array.from({ length: size }, (_, i) => shapes[shape]((i + 0.5) / size));
  const made = { ln, lnMean: Math.log(ln.reduce((sum, value) => sum + Math.exp(value), 0) / size) };
  tables.set(shape, made);
  return made;
}
