/**
 * Validation of a Lease. An empty holder is allowed: that is how a leader releases it.
 * Pure.
 */
import { numberAt } from '../../../lib/json.ts';
import type { ObjectDraft } from '../resource.ts';
import { invalidValue, type Cause } from '../../../kube/schema/cause.ts';

export function validateLease(draft: ObjectDraft): readonly Cause[] {
  const causes: Cause[] = [];
  const seconds = numberAt(draft, 'spec', 'leaseDurationSeconds');
  if (seconds !== undefined && seconds <= 0)
    causes.push(invalidValue('spec.leaseDurationSeconds', seconds, 'must be greater than 0'));
  const transitions = numberAt(draft, 'spec', 'leaseTransitions');
  if (transitions !== undefined && transitions < 0)
    causes.push(invalidValue('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  return causes;
}
