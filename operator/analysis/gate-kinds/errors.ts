/**
 * Gates on the share of failed requests: relative to stable, or with an absolute limit.
 *
 * Pure.
 */
import { failuresOf, requestsOf } from '../series.ts';
import { detectable, percentIn, wrongField, type GateKind, type GatePart, type Relative } from './kind.ts';

export type ErrorsIncrease = { readonly kind: 'errors-increase'; readonly increase: number } & Relative;
export type ErrorsLimit = { readonly kind: 'errors-limit'; readonly name: string; readonly max: number };

/** The content of spec.rollout.gates.errors, as the user wrote it. */
export type ErrorsSpec = { readonly maxIncrease?: string; readonly max?: string; readonly minDetectable?: string };

const counts = { events: failuresOf, trials: requestsOf };

export const errorsIncrease: GateKind = {
  order: 1,
  isCompared: true,
  counts,
  isForShadow: false,
  isForOne: false,
  failed: 'ErrorsGateFailed',
  imagined: 'failures',
  unit: 'points',
  fails: (much) => `the error rate is ${much} above stable`,
};

export const errorsLimit: GateKind = {
  order: 2,
  isCompared: false,
  counts,
  isForShadow: false,
  isForOne: true,
  failed: 'ErrorsGateFailed',
  fails: (much) => `the error rate is ${much}`,
};

export const errorsPart: GatePart<{ readonly errors?: ErrorsSpec }, ErrorsIncrease | ErrorsLimit> = {
  names: ['errors', 'errors-max'],
  fields: { may: ['maxIncrease', 'max', 'minDetectable'] },
  read: ({ errors = {} }) => gatesOf(errors),
};

function gatesOf({ maxIncrease, max, minDetectable }: ErrorsSpec): readonly (ErrorsIncrease | ErrorsLimit)[] {
  const at = 'spec.rollout.gates.errors';
  if (minDetectable !== undefined && maxIncrease === undefined)
    throw wrongField(
      `${at}.minDetectable`,
      'requires maxIncrease: it is the larger increase that is accepted when traffic is low',
    );
  const increase = maxIncrease === undefined ? 0 : percentIn(maxIncrease, `${at}.maxIncrease`);
  return [
    ...(maxIncrease === undefined
      ? []
      : [
          {
            kind: 'errors-increase',
            name: 'errors',
            increase,
            ...detectable(minDetectable, increase, `${at}.minDetectable`),
          } as const,
        ]),
    ...(max === undefined
      ? []
      : [{ kind: 'errors-limit', name: 'errors-max', max: percentIn(max, `${at}.max`) } as const]),
  ];
}
