/**
 * Whether an OnnxModel is ready, stalled or still progressing.
 *
 * Only conditions for the current generation of the spec count. Pure.
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
  if (ready === undefined) return progressing('NoReadyCondition', 'the operator has not set the condition Ready yet');
  return { outcome: ready.status === 'True' ? 'Ready' : 'Progressing', reason: ready.reason, message: ready.message };
}

function progressing(reason: ReasonFrom<'client'>, message: string): ModelOutcome {
  return { outcome: 'Progressing', reason, message };
}

/** The condition, unless it was set for an earlier generation of the spec. */
function conditionOf({ metadata, status }: OnnxModel, type: ConditionType): Condition | undefined {
  const found = status?.conditions?.find((condition) => condition.type === type);
  return (found?.observedGeneration ?? metadata.generation) < metadata.generation
    ? undefined
    : (found as Condition | undefined);
}

function notObserved(generation: number, observed: number): string {
  return `waiting for the operator to observe generation ${generation} (observed: ${observed < 0 ? 'none' : observed})`;
}
