/**
 * The fuzzer's own result for a request (its judgement), and readers of JSON fields. A reader throws a judgement when a
 * field is wrong.
 * Owns: `Judgement`, and the exception that ends nested parsing with a judgement.
 * Pure.
 */
import type { RefTensor } from './models.ts';

export type Wanted = RefTensor & { readonly binary: boolean };
export type Judgement =
  | {
      readonly kind: 'Answer';
      readonly outputs: readonly Wanted[];
      readonly id: string | undefined;
      readonly largest: number;
      readonly mayExpire: boolean;
    }
  | {
      readonly kind: 'Refused';
      readonly why: string;
      /** True when the request has a timeout that may expire before the refusal. */ readonly mayExpire?: boolean;
    }
  | { readonly kind: 'Unsure' };

export type Fields = Readonly<Record<string, unknown>>;

export class Stop extends Error {
  readonly judgement: Judgement;
  constructor(judgement: Judgement) {
    super(judgement.kind);
    this.judgement = judgement;
  }
}

export function refuse(why: string): never {
  throw new Stop({ kind: 'Refused', why });
}

export function unsure(): never {
  throw new Stop({ kind: 'Unsure' });
}

export function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}

export function parametersOf(holder: Fields): Fields {
  return present(holder['parameters']) ? fields(holder['parameters'], 'parameters') : {};
}

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

export function fields(value: unknown, what: string): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : refuse(what);
}

export function list(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) && value.length <= 256 ? value : refuse(what);
}

export function nameOf(holder: Fields): string {
  const name = holder['name'];
  return typeof name === 'string' && name !== '' && name.length <= 512 ? name : refuse('name');
}

export function flag(value: unknown): boolean | undefined {
  if (!present(value)) return undefined;
  return typeof value === 'boolean' ? value : refuse('flag');
}
