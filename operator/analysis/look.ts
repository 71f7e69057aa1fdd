/**
 * One look at a window. It computes the evidence from the known blocks, then every gate's verdict, and whether the step
 * is over.
 *
 * Terms: A block is 20 seconds; a window is the blocks by which a step of the rollout is judged. A step gives the
 * candidate a weight (its share of the traffic) and requires NoFail or Pass of the gates. A cell is what one pod
 * counted in one block, of one tier and size of requests.
 * Owns: the choice of a look's last block. It is the last block that both revisions have reported, so that neither
 * revision is judged on minutes that are unknown for the other. For a candidate with all the traffic, it is the last
 * block that the candidate has reported. Rollouts in a cluster and `kubectl-onnx replay`, which judges a recorded
 * rollout, both use this file.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { Evidence } from './evidence.ts';
import { judge, stepVerdict, verdicts, type StepVerdict } from './judge.ts';
import type { GatePlan } from './plan.ts';
import type { Cell, Both } from './series.ts';
import type { Decided, GateResult } from './verdict.ts';

/** What is known of both revisions in a window: the input from which a look computes its evidence. */
export type Known = Omit<Evidence, 'window'> & {
  readonly cells: Both<readonly Cell[]>;
  /** The requests of `cells`, summed by pod. Required when `cells` are summed by block (merged-cells.ts). */
  readonly pods?: Both<readonly Cell[]>;
  readonly firstBlock: number;
  /** The last reported block of each revision. */
  readonly heardUntil: Both<number>;
  readonly lostBlocks?: readonly number[];
};

export type Look = { readonly decided: readonly Decided[]; readonly step: StepVerdict };

/** The last block that a look uses. */
export function lastBlockOf({ heardUntil: { candidate, stable }, alone }: Pick<Known, 'heardUntil' | 'alone'>): number {
  return alone === true ? candidate : Math.min(candidate, stable);
}

export function evidenceOf(known: Known): Evidence {
  const { cells, pods, firstBlock, lostBlocks, loadIsEqual } = known;
  return {
    window: {
      ...cells,
      firstBlock,
      lastBlock: lastBlockOf(known),
      ...(lostBlocks === undefined ? {} : { lostBlocks }),
      ...(pods === undefined ? {} : { pods }),
    },
    loadIsEqual,
    ...present({
      history: known.history,
      alone: known.alone,
      nodes: known.nodes,
      maxBlocks: known.maxBlocks,
      paired: known.paired,
    }),
  };
}

/** @param require the requirement of the step; with either requirement, a Fail of any gate fails the step */
export function lookAt(plan: GatePlan, evidence: Evidence, require: 'NoFail' | 'Pass'): Look {
  const decided = verdicts(plan, evidence);
  return { decided, step: stepVerdict(plan, evidence, decided, require) };
}

/** Every gate's verdict with its numbers. The verdicts equal those of `lookAt` for the same evidence. */
export function numbersAt(plan: GatePlan, evidence: Evidence): readonly GateResult[] {
  return judge(plan, evidence);
}
