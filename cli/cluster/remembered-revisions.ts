/**
 * The revision history of a model: its ControllerRevisions, each with the spec as it was written.
 *
 * Limits: 500 revisions.
 * Throws: BAD_FLAG when a prefix matches no revision or several revisions; the errors of the client.
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
  /** The generation of the model's spec that first had this revision. */
  readonly generation: number;
  /** The fields of the spec that identify the revision, as they were written. */
  readonly written: RevisionSpec;
};

const limit = 500;

/** The revisions in the history, the latest first. Revisions in a format that this version cannot read are left out. */
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

/**
 * The revision with these ten hex digits or with this prefix. @param flag the name of the flag or argument with the
 * value
 */
export function namedRevision(all: readonly Remembered[], asked: string, flag: string): Remembered {
  const wrong = (problem: string): AppError => new AppError('BAD_FLAG', { flag, problem });
  const known =
    all.length === 0
      ? 'the revision history is empty'
      : `revisions in the history: ${all.map(({ revision }) => revision).join(', ')}`;
  if (!/^[0-9a-f]{4,10}$/.test(asked))
    throw wrong(`'${asked.slice(0, 80)}' is not a revision (four to ten hex digits); ${known}`);
  const fitting = all.filter(({ revision }) => revision.startsWith(asked));
  const [one] = fitting;
  if (one === undefined) throw wrong(`revision ${asked} is not in the history; ${known}`);
  if (fitting.length > 1)
    throw wrong(`${asked} matches ${fitting.map(({ revision }) => revision).join(' and ')}: give more digits`);
  return one;
}
