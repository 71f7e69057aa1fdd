/**
 * How kstatus (used by Flux, Helm 4 and others) reads an object, reduced to the cases of an OnnxModel.
 * Rule: the first fact that applies decides, as in kstatus: deletion, an old observedGeneration, Reconciling or Stalled
 * (whichever is first in the list of conditions), Ready.
 */
import { isRecord } from '../../api/record.ts';

export type KStatus = 'Terminating' | 'InProgress' | 'Failed' | 'Current';

export type Readable = {
  readonly metadata: { readonly generation: number; readonly deletionTimestamp?: string };
  readonly status?: unknown;
};

/** @throws TypeError where kstatus itself fails: an observedGeneration that is not an integer */
export function kstatusOf({ metadata, status }: Readable): KStatus {
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (!isRecord(status)) return 'Current';
  return isOutdated(status['observedGeneration'], metadata.generation)
    ? 'InProgress'
    : byConditions(status['conditions']);
}

function isOutdated(observed: unknown, generation: number): boolean {
  if (observed === undefined) return false;
  if (!Number.isInteger(observed)) throw new TypeError(`observedGeneration is ${JSON.stringify(observed)}`);
  return observed !== generation;
}

function byConditions(conditions: unknown): KStatus {
  const all = Array.isArray(conditions) ? conditions.filter(isRecord) : [];
  const abnormal = all.find(({ type, status }) => status === 'True' && (type === 'Reconciling' || type === 'Stalled'));
  if (abnormal !== undefined) return abnormal['type'] === 'Reconciling' ? 'InProgress' : 'Failed';
  const ready = all.find(({ type }) => type === 'Ready');
  return ready === undefined || ready['status'] === 'True' ? 'Current' : 'InProgress';
}
