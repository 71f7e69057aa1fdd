/**
 * The functions that Kubernetes adds to CEL, as far as the rules of this project's CustomResourceDefinitions
 * (definitions) use them.
 * Owns: the environment in which rules are compiled. A rule that calls any other function does not compile. The
 * definition with such a rule is refused, so that rules are never skipped without notice.
 */
import { Environment } from '@marcbachmann/cel-js';
import { isSame } from '../../lib/json.ts';
import { nanosOf } from '../../api/quantities.ts';

type Scalar = bigint | number | string | boolean;

/** A Kubernetes quantity as a CEL value. */
class Quantity {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

function quantityOf(text: string): Quantity {
  const nanos = nanosOf(text);
  if (nanos === undefined) throw new Error(`${text} is not a quantity`);
  return new Quantity(nanos);
}

function isSorted(list: readonly Scalar[]): boolean {
  return list.every((item, index) => index === 0 || (list[index - 1] ?? item) <= item);
}

function extreme(list: readonly Scalar[], isBetter: (a: Scalar, b: Scalar) => boolean): Scalar {
  const [first, ...rest] = list;
  if (first === undefined) throw new Error('an empty list has no smallest or largest item');
  return rest.reduce((best, item) => (isBetter(item, best) ? item : best), first);
}

function sum(list: readonly (bigint | number)[]): bigint | number {
  return list.every((item) => typeof item === 'bigint')
    ? list.reduce((total, item) => total + item, 0n)
    : list.reduce<number>((total, item) => total + Number(item), 0);
}

function indexOf(list: readonly unknown[], item: unknown): bigint {
  return BigInt(list.findIndex((one) => isSame(one, item)));
}

function find(text: string, pattern: string): string {
  return new RegExp(pattern, 'u').exec(text)?.[0] ?? '';
}

function findAll(text: string, pattern: string): string[] {
  return [...text.matchAll(new RegExp(pattern, 'gu'))].map(([match]) => match);
}

const nano = 1_000_000_000n;

function wholeOf(quantity: Quantity): bigint {
  if (quantity.nanos % nano !== 0n) throw new Error('the quantity is not a whole number');
  return quantity.nanos / nano;
}

const compare = (a: Quantity, b: Quantity): bigint => (a.nanos === b.nanos ? 0n : a.nanos < b.nanos ? -1n : 1n);

/** @returns a new environment with `self` and `oldSelf` of any type */
export function createEnvironment(): Environment {
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  environment.registerType('Quantity', Quantity);
  environment.registerVariable('self', 'dyn').registerVariable('oldSelf', 'dyn');
  environment.registerFunction('quantity(string): Quantity', quantityOf);
  environment.registerFunction('isQuantity(string): bool', (text: string) => nanosOf(text) !== undefined);
  environment.registerFunction('isURL(string): bool', (text: string) => URL.canParse(text));
  const methods: readonly [string, (...args: never[]) => unknown][] = [
    ['list.isSorted(): bool', isSorted],
    ['list.sum(): dyn', sum],
    ['list.min(): dyn', (list: readonly Scalar[]) => extreme(list, (a, b) => a < b)],
    ['list.max(): dyn', (list: readonly Scalar[]) => extreme(list, (a, b) => a > b)],
    ['list.indexOf(dyn): int', indexOf],
    ['string.find(string): string', find],
    ['string.findAll(string): list<string>', findAll],
    ['string.replace(string, string): string', (text: string, from: string, to: string) => text.replaceAll(from, to)],
    ['Quantity.compareTo(Quantity): int', compare],
    ['Quantity.isLessThan(Quantity): bool', (a: Quantity, b: Quantity) => compare(a, b) < 0n],
    ['Quantity.isGreaterThan(Quantity): bool', (a: Quantity, b: Quantity) => compare(a, b) > 0n],
    ['Quantity.sign(): int', (a: Quantity) => compare(a, new Quantity(0n))],
    ['Quantity.asInteger(): int', wholeOf],
    ['Quantity.isInteger(): bool', (a: Quantity) => a.nanos % nano === 0n],
    ['Quantity.asApproximateFloat(): double', (a: Quantity) => Number(a.nanos) / Number(nano)],
    ['Quantity.add(Quantity): Quantity', (a: Quantity, b: Quantity) => new Quantity(a.nanos + b.nanos)],
    ['Quantity.sub(Quantity): Quantity', (a: Quantity, b: Quantity) => new Quantity(a.nanos - b.nanos)],
  ];
  for (const [signature, handler] of methods) environment.registerFunction(signature, handler as never);
  return environment;
}
