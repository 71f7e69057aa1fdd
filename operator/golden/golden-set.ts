/**
 * Freezes the golden gate of a candidate: what its answers are held against for this attempt of its rollout.
 *
 * Owns:  when a user's ConfigMap is read - once an attempt, by GET, for the caches hold only our own objects - and what
 *        is said while it cannot be. From then on the revision's own ConfigMap holds the bytes, and a change of the
 *        user's, or of the gate, counts from the next rollout on.
 * Rule:  a candidate whose set is missing is not made: its pods would have nothing to be checked by. Nothing else of
 *        the model waits for it. One that is proven, pinned or promoted by request needs no set.
 */
import { createHash } from 'node:crypto';
import { generatedGolden } from '../../api/defaults.ts';
import { defaultLimitOf } from '../../api/golden-metrics.ts';
import { messageOf } from '../../api/errors.ts';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import { volumeClaimOf } from '../../api/sources.ts';
import { pickGoldenFile, type Picked } from './golden-file.ts';
import { configMaps, controllerRevisions, type ConfigMap } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient } from '../../kube/client/kube-client.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../kube/client/object.ts';
import type { Held, KnownFrozen, Observed } from '../see/seen.ts';
import { revisionOfChild } from '../see/ownership.ts';
import type { FrozenGolden, GoldenFile, RevisionRecord } from '../resources/objects.ts';
import { readFrozenGolden } from '../resources/revisions.ts';
import { isExempt } from '../rollout/decisions.ts';
import { candidateOf, stableOf, type Revision, type RolloutState, type Trouble } from '../rollout/state.ts';

type Hands = { readonly client: Pick<KubeClient, 'get'>; readonly call: CallOptions; readonly frozen?: FrozenMemory };

/**
 * What this process knows to be frozen of a model's revisions. It outweighs what the objects say, which anybody can
 * change and which is told nowhere else; a process that begins believes the objects.
 */
export type FrozenMemory = Map<Revision, { readonly generation?: number; readonly golden?: FrozenGolden }>;

export type Frozen = {
  /** What is known to be frozen, of every revision that is remembered. */
  readonly frozen: KnownFrozen;
  /** The candidate whose set cannot be had. */
  readonly held?: Held;
};

/** How soon a pass looks again for a set that was missing: nobody tells us of it. */
export const goldenRecheckMs = 5_000;

/** @throws only when the pass was ended */
export async function freezeGolden(hands: Hands, seen: Observed): Promise<Frozen> {
  const memory = hands.frozen ?? new Map();
  learnFrozen(memory, seen);
  const { target } = seen.rollout;
  const found = seen.records.get(target);
  const record = found === undefined ? undefined : { ...found, ...memory.get(target) };
  if (record === undefined || !isNeeded(seen, record)) return { frozen: new Map(memory) };
  const golden = await freeze(hands, seen, record);
  if (!('config' in golden)) return { frozen: new Map(memory), held: { revision: target, trouble: golden } };
  memory.set(target, { ...memory.get(target), golden });
  return { frozen: new Map(memory) };
}

/** What is remembered stays as it is; what is not is read from the revisions' own objects. */
function learnFrozen(memory: FrozenMemory, { records, children, model }: Observed): void {
  for (const revision of memory.keys()) if (!records.has(revision)) memory.delete(revision);
  for (const object of children) {
    const record = records.get(revisionOfChild(object, model.metadata.name) ?? '');
    if (record !== undefined)
      memory.set(record.revision, { ...frozenIn(object, record), ...memory.get(record.revision) });
  }
}

function frozenIn(
  object: KubeObject,
  { generation }: RevisionRecord,
): { readonly generation?: number; readonly golden?: FrozenGolden } {
  if (object.kind === controllerRevisions.kind) return { generation };
  const golden = object.kind === configMaps.kind ? readFrozenGolden(object as ConfigMap) : undefined;
  return golden !== undefined && isWhole(golden) ? { golden } : {};
}

/** Somebody may have changed our ConfigMap by hand: then it is not what was frozen. */
function isWhole({ config: { id, ...config }, file }: FrozenGolden): boolean {
  return goldenId(config, file) === id;
}

function isNeeded(seen: Observed, record: RevisionRecord): boolean {
  const {
    memory,
    rollout: { target },
  } = seen;
  if (stableOf(memory) === target || needsNone(seen)) return false;
  if (record.golden === undefined) return memory.phase !== 'Failed' || isRetried(seen);
  return record.golden.attempt !== attemptOf(memory, target);
}

/** Proven, or a person answers for it: what helps in an incident must not wait for a ConfigMap. */
function needsNone({ plan, rollout }: Observed): boolean {
  return isExempt(rollout.target, { seen: rollout, plan }) || plan.promoteRevision === rollout.target;
}

function isRetried({ memory, plan, rollout }: Observed): boolean {
  if (memory.phase !== 'Failed' || memory.rejected !== rollout.target) return true;
  return (plan.retryToken !== undefined && plan.retryToken !== memory.handledRetryToken) || memory.stable === null;
}

/**
 * Of the rollout under way; of one that is about to begin, the first. A refused candidate keeps what it was refused by
 * until it is tried again.
 */
function attemptOf(memory: RolloutState, target: Revision): number {
  if (candidateOf(memory) !== target || !('attempt' in memory)) return 1;
  return memory.attempt;
}

// ── freezing ──

type Gate = NonNullable<NonNullable<NonNullable<OnnxModelSpec['rollout']>['gates']>['golden']>;

async function freeze(hands: Hands, seen: Observed, record: RevisionRecord): Promise<FrozenGolden | Trouble> {
  const gate = seen.model.spec.rollout?.gates?.golden;
  const attempt = attemptOf(seen.memory, record.revision);
  if (gate?.configMapRef !== undefined) return freezeConfigMap(hands, { seen, gate, attempt }, gate.configMapRef.name);
  if (gate?.uri !== undefined)
    return freezeUri(gate, { uri: gate.uri, digest: gate.digest ?? '' }, { record, attempt });
  const { seed, cases } = generatedGolden;
  const source = { kind: 'Generated', seed, cases } as const;
  return frozen(
    gate === undefined
      ? { metric: generatedGolden.metric, min: generatedGolden.min, source }
      : { ...limitOf(gate), source },
    attempt,
  );
}

async function freezeConfigMap(
  { client, call }: Hands,
  { seen, gate, attempt }: { readonly seen: Observed; readonly gate: Gate; readonly attempt: number },
  name: string,
): Promise<FrozenGolden | Trouble> {
  const picked = await pick(client, { namespace: seen.model.metadata.namespace, name }, call);
  if (picked.kind === 'problem')
    return { reason: picked.reason, message: `golden set: ${picked.problem}`, fatal: false };
  return frozen({ ...limitOf(gate), source: { kind: 'File', file: picked.file.name } }, attempt, picked.file);
}

async function pick(
  client: Hands['client'],
  name: { readonly namespace: string; readonly name: string },
  call: CallOptions,
): Promise<Picked> {
  try {
    return pickGoldenFile(await client.get<KubeObject & ConfigMap>(configMaps, name, call));
  } catch (error) {
    if (call.signal?.aborted === true) throw error;
    // Stable is looked after all the same: the candidate alone waits.
    const problem = isNotFound(error)
      ? `there is no ConfigMap ${name.name} in namespace ${name.namespace}`
      : `ConfigMap ${name.name} cannot be read: ${messageOf(error)}`;
    return { kind: 'problem', reason: 'GoldenSetMissing', problem };
  }
}

/** A claim is mounted only where the model comes from it. */
function freezeUri(
  gate: Gate,
  { uri, digest }: { readonly uri: string; readonly digest: string },
  { record, attempt }: { readonly record: RevisionRecord; readonly attempt: number },
): FrozenGolden | Trouble {
  const [claim, mounted] = [volumeClaimOf(uri), volumeClaimOf(record.spec.model.uri)];
  if (claim !== undefined && claim !== mounted) {
    const problem = mounted === undefined ? 'the model comes from no claim' : `the model comes from claim '${mounted}'`;
    return {
      reason: 'GoldenSetInvalid',
      message: `golden set: ${uri} is in claim '${claim}', which the pods do not mount: ${problem}`,
      fatal: false,
    };
  }
  return frozen({ ...limitOf(gate), source: { kind: 'Uri', uri, digest } }, attempt);
}

/** The CRD has let only numbers in, and each metric only its own limit. */
function limitOf({ metric, min, max }: Gate): Pick<GoldenConfig, 'metric' | 'min' | 'max'> {
  return {
    metric,
    ...defaultLimitOf(metric),
    ...(min === undefined ? {} : { min: Number(min) }),
    ...(max === undefined ? {} : { max: Number(max) }),
  };
}

function frozen(config: Omit<GoldenConfig, 'id'>, attempt: number, file?: GoldenFile): FrozenGolden {
  return { config: { id: goldenId(config, file), ...config }, attempt, ...(file === undefined ? {} : { file }) };
}

/** @returns `sha256:<64 hex>` over gate and bytes */
function goldenId({ metric, min, max, source }: Omit<GoldenConfig, 'id'>, file: GoldenFile | undefined): string {
  const hash = createHash('sha256').update(JSON.stringify([metric, min ?? null, max ?? null, source]));
  if (file !== undefined) hash.update('text' in file ? file.text : Buffer.from(file.base64, 'base64'));
  return `sha256:${hash.digest('hex')}`;
}
