/**
 * The gate on the share of the candidate's answers that differ from stable's answers to the same requests.
 *
 * Pure.
 */
import { comparedOf, disagreedOf } from '../series.ts';
import { shareIn, wrongField, type GateKind, type GatePart } from './kind.ts';

export type DisagreementLimit = { readonly kind: 'disagreement-limit'; readonly name: string; readonly max: number };

/** The content of spec.rollout.gates.quality, as the user wrote it. */
export type QualitySpec = { readonly min: string };

export const disagreementLimit: GateKind = {
  order: 4,
  isCompared: false,
  counts: { events: disagreedOf, trials: comparedOf },
  isForShadow: true,
  isForOne: false,
  failed: 'QualityGateFailed',
  fails: (much) => `${much} of the compared answers disagree with stable's`,
  counted: 'comparison',
};

export const qualityPart: GatePart<{ readonly quality?: QualitySpec }, DisagreementLimit> = {
  names: ['quality'],
  fields: { must: ['min'], may: ['sampleRate', 'metric'] },
  read: ({ quality }) => (quality === undefined ? [] : gatesOf(quality)),
};

function gatesOf(quality: QualitySpec): readonly DisagreementLimit[] {
  const min = shareIn(quality.min);
  if (min === undefined)
    throw wrongField('spec.rollout.gates.quality.min', `'${quality.min}' is not a number from 0 to 1`);
  return [{ kind: 'disagreement-limit', name: 'quality', max: Number((1 - min).toFixed(9)) }];
}
