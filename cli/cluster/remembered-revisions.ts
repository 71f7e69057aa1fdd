/**
 * The revisions of a model that are remembered: its ControllerRevisions, each with the spec as it was written.
 *
 * Limits: 500 of them.
 * Errors: BAD_FLAG when a name fits none or several; as the cluster's.
 */
import { AppError } from '../../api/errors.ts';
import { labels } from '../../api/names.ts';
import type { RevisionSpec } from '../../api/onnxmodel.ts';
import { isRecord } from '../../api/record.ts';
import { present } from '../../api/present.ts';
import { controllerRevisions, type ControllerRevision } from '../../kube/kinds.ts';
import type { Cluster } from './api-server.ts';
import type { ModelRef } from './models.ts';

export type Remembered = {
  readonly revision: string;
  /** Generation of the model's spec that it was made from. */
  readonly generation: number;
  /** The hashed part of the spec as it was written. */
  readonly written: RevisionSpec;
};

const limit = 500;

/** Latest first. What this version of the command cannot read is left out. */
export async function rememberedRevisions(
  cluster: Cluster,
  { namespace, name }: ModelRef,
  signal?: AbortSignal,
): Promise<readonly Remembered[]> {
  const { items } = await cluster.client.list(
    controllerRevisions,
    { namespace, labelSelector: `${labels.model}=${name}`, limit },
    present({ signal }),
  );
  return items.flatMap(read).sort((a, b) => b.generation - a.generation);
}

function read({ metadata, revision: generation, data }: ControllerRevision): readonly Remembered[] {
  const revision = metadata.labels?.[labels.revision];
  const { schema, written } = isRecord(data) ? data : {};
  if (schema !== 1 || revision === undefined || typeof generation !== 'number' || !isRecord(written)) return [];
  return [{ revision, generation, written: written as RevisionSpec }];
}

/** The one that a user means by its ten digits or their beginning. @param flag where it was said */
export function namedRevision(all: readonly Remembered[], asked: string, flag: string): Remembered {
  const wrong = (problem: string): AppError => new AppError('BAD_FLAG', { flag, problem });
  const known = all.length === 0 ? 'none is remembered' : `there are ${all.map(({ revision }) => revision).join(', ')}`;
  if (!/^[0-9a-f]{4,10}$/.test(asked))
    throw wrong(`'${asked.slice(0, 80)}' is not a revision, four to ten hex digits; ${known}`);
  const fitting = all.filter(({ revision }) => revision.startsWith(asked));
  const [one] = fitting;
  if (one === undefined) throw wrong(`no revision ${asked} is remembered; ${known}`);
  if (fitting.length > 1)
    throw wrong(`${asked} fits ${fitting.map(({ revision }) => revision).join(' and ')}: give more digits`);
  return one;
}
