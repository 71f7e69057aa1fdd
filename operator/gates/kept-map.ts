/**
 * The ConfigMap in which a model's ledger, the counts of its pods during a rollout, survives a restart of the operator.
 * Owns: its name and its fields. Pure.
 */
import { toApiTime } from '../../api/conditions.ts';
import type { ConfigMap } from '../../kube/kinds.ts';
import { childMeta, type Manifest } from '../resources/objects.ts';
import type { Observed } from '../see/seen.ts';
import type { Written } from './model-ledger.ts';

const fields = { ledger: 'ledger', window: 'window', writtenAt: 'writtenAt' } as const;

function keptName(seen: Observed): string {
  return `${seen.model.metadata.name}-gates`;
}

export function writtenIn(seen: Observed): Written | undefined {
  const found = seen.children.find((object) => object.kind === 'ConfigMap' && object.metadata.name === keptName(seen));
  const {
    [fields.ledger]: text,
    [fields.window]: window = '',
    [fields.writtenAt]: at = '',
  } = (found as ConfigMap | undefined)?.data ?? {};
  const atMs = Date.parse(at);
  return text === undefined || Number.isNaN(atMs) ? undefined : { text, window: Number(window), atMs };
}

export function keptManifest(seen: Observed, { text, window, atMs }: Written): Manifest {
  const data = { [fields.window]: String(window), [fields.writtenAt]: toApiTime(atMs), [fields.ledger]: text };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: childMeta(seen.model, keptName(seen)), data };
}
