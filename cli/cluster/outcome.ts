/**
 * How far an OnnxModel is, as a waiter sees it.
 *
 * Rule: only what the operator said about the spec as it is now counts; what it said about an earlier one is history.
 * Pure.
 */
import type { Condition, ConditionType } from '../../api/conditions.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { ReasonFrom } from '../../api/reasons.ts';

export type ModelOutcome = {
  readonly outcome: 'Ready' | 'Stalled' | 'Progressing';
  readonly reason: string;
  readonly message: string;
};

export function modelOutcomeOf(model: OnnxModel): ModelOutcome {
  const { generation } = model.metadata;
  const observed = model.status?.observedGeneration ?? -1;
  if (observed < generation) return progressing('NotObserved', notObserved(generation, observed));
  const stalled = conditionOf(model, 'Stalled');
  if (stalled?.status === 'True') return { outcome: 'Stalled', reason: stalled.reason, message: stalled.message };
  const ready = conditionOf(model, 'Ready');
  if (ready === undefined) return progressing('NoReadyCondition', 'the operator has not said yet whether it is ready');
  return { outcome: ready.status === 'True' ? 'Ready' : 'Progressing', reason: ready.reason, message: ready.message };
}

function progressing(reason: ReasonFrom<'client'>, message: string): ModelOutcome {
  return { outcome: 'Progressing', reason, message };
}

/** The condition, if it speaks of the spec as it is now. */
function conditionOf({ metadata, status }: OnnxModel, type: ConditionType): Condition | undefined {
  const found = status?.conditions?.find((condition) => condition.type === type);
  return (found?.observedGeneration ?? metadata.generation) < metadata.generation
    ? undefined
    : (found as Condition | undefined);
}

function notObserved(generation: number, observed: number): string {
  return `waiting for the operator to observe generation ${generation} (observed: ${observed < 0 ? 'none' : observed})`;
}
