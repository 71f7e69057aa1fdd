/**
 * Selects from a model's ledger the evidence for one look at a window.
 *
 * Terms: A ledger has the counts of every pod, in blocks of 20 seconds. A window is the blocks by which a step of the
 * rollout is judged; a look is one evaluation of it. Noise is random variation between minutes or pods of one revision.
 * Owns: which blocks count, from which blocks the noise of stable is computed (the half hour before the window), and
 * when the pods of both revisions carry equal load.
 * Pure.
 */
import { present } from '../../api/present.ts';
import type { RouterName } from '../../api/routers.ts';
import { lostBlocks, type Ledger } from '../analysis/ledger.ts';
import { lastBlockOf, type Known } from '../analysis/look.ts';
import { mergedCells } from '../analysis/merged-cells.ts';
import { equalLoadLn } from '../analysis/constants.ts';
import { pairedSeries } from '../analysis/paired-series.ts';
import type { Nodes, Both } from '../analysis/series.ts';
import { NoiseMemory } from './noise-memory.ts';
import { sharingOf } from '../rollout/sharing.ts';
import type { Block, Revision } from '../rollout/state.ts';

export type Scene = {
  /** The noise that earlier looks have learnt. If absent, the noise is learnt again. */
  readonly noise?: NoiseMemory;
  readonly stable: Revision;
  readonly candidate: Revision;
  /** The first block of the window. */
  readonly window: Block;
  /** The candidate's share of the traffic in percent, 0 to 100. */
  readonly weight: number;
  readonly router: RouterName;
  readonly ready: Both<number>;
  readonly ledger: Ledger;
  /**
   * Shared: both revisions have pods on exactly the same nodes. Unlike: the nodes of the two revisions differ or are
   * not known.
   */
  readonly nodes?: Nodes;
  /** The maximum duration of the step in blocks. If absent, it is half an hour. */
  readonly maxBlocks?: number;
  /** The first block that counts: older blocks were dropped from the ledger. */
  readonly from: Block;
};

export function knownOf(scene: Scene): Known {
  const { stable, candidate, ledger } = scene;
  const firstBlock = Math.max(scene.window, scene.from);
  const heardUntil = {
    candidate: heardOf(ledger, candidate) ?? firstBlock - 1,
    stable: heardOf(ledger, stable) ?? firstBlock - 1,
  };
  const alone = scene.weight >= 100;
  const lost = lostBlocks(ledger, alone ? [candidate] : [stable, candidate]);
  const span = { first: firstBlock, last: lastBlockOf({ heardUntil, alone }), lost };
  const [own, other] = [mergedCells(ledger, candidate, span), mergedCells(ledger, stable, span)];
  return {
    cells: { candidate: own.blocks, stable: other.blocks },
    pods: { candidate: own.pods, stable: other.pods },
    firstBlock,
    heardUntil,
    lostBlocks: lost,
    history: historyOf(scene),
    loadIsEqual: isLoadEqual(scene),
    alone,
    ...present({
      nodes: scene.nodes,
      maxBlocks: scene.maxBlocks,
      paired: alone ? undefined : pairedSeries(ledger, candidate, span),
    }),
  };
}

/** Noise of stable in the half hour before `window`, also when the first block that counts (`from`) is later. */
export function historyOf({ ledger, stable, window, noise = new NoiseMemory() }: Scene): NonNullable<Known['history']> {
  return noise.of(ledger, stable, window);
}

function heardOf(ledger: Ledger, revision: Revision): Block | undefined {
  const ends = Object.values(ledger).flatMap((boot) =>
    boot.revision === revision ? boot.heard.map(([, to]) => to) : [],
  );
  return ends.length === 0 ? undefined : Math.max(...ends);
}

/**
 * Whether the pods of both revisions get equal traffic. When the router shares traffic by pods, they always do. When it
 * shares traffic by weights, the pods of each revision divide the share of their revision.
 */
export function isLoadEqual({ router, weight, ready }: Pick<Scene, 'router' | 'weight' | 'ready'>): boolean {
  if (!sharingOf({ router }).isByWeight) return true;
  if (weight <= 0 || weight >= 100 || ready.candidate === 0 || ready.stable === 0) return false;
  const [own, other] = [weight / ready.candidate, (100 - weight) / ready.stable];
  return Math.abs(Math.log(own / other)) <= equalLoadLn;
}
