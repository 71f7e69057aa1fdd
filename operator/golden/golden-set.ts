/**
 * Freezes the golden gate of a candidate for one attempt of its rollout.
 *
 * Terms: A golden set is a set of inputs that every pod of a candidate must answer well before it gets traffic. To
 * freeze is to copy, so that later changes have no effect. An attempt is one try of a candidate; each retry begins a
 * new one. The target is the revision of the current spec, or the pinned one.
 * Owns: reading the user's ConfigMap, once for each attempt. The bytes are copied into the revision's own ConfigMap, so
 * later changes of the user's ConfigMap or of the gate apply from the next attempt on. A candidate whose set is missing
 * gets no pods; stable is not affected. A revision needs no set if it passed all checks and gates before (proven), or
 * if the spec pins it or asks to promote it.
 */
import { createHash } from 'node:crypto';
import { generatedGolden } from '../../api/defaults.ts';
import { defaultLimitOf } from '../../api/golden-metrics.ts';
import { messageOf } from '../../api/errors.ts';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import { volumeClaimOf } from '../../api/sources.ts';
import { configMaps, controllerRevisions, type ConfigMap } from '../../kube/kinds.ts';
import type { CallOptions, KubeClient } from '../../kube/client/kube-client.ts';
import { memoised } from '../../lib/memoised.ts';
import { present } from '../../api/present.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { Held, KnownFrozen, Observed } from '../see/seen.ts';
import { revisionOfChild } from '../see/ownership.ts';
import type { FrozenGolden, GoldenFile, RevisionRecord } from '../resources/objects.ts';
import { readFrozenGolden } from '../resources/revisions.ts';
import { isExempt } from '../rollout/decisions.ts';
import { candidateOf, stableOf, type Revision, type RolloutState, type Trouble } from '../rollout/state.ts';
import { ownValue } from '../../api/record.ts';

type GoldenSetDeps = {
  readonly client: Pick<KubeClient, 'get'>;
  readonly call: CallOptions;
  readonly frozen?: FrozenMemory;
};

/**
 * What this process knows of a model's revisions: the frozen set, and `generation`, the generation of the spec that
 * first had the revision. This has priority over the objects in the cluster, because users can change those objects. A
 * new process starts with the values in the objects.
 */
export type FrozenMemory = Map<Revision, { readonly generation?: number; readonly golden?: FrozenGolden }>;

export type Frozen = {
  /** The frozen sets of all revisions that have a record. */
  readonly frozen: KnownFrozen;
  /** The candidate whose set is not available, with the problem to report. */
  readonly held?: Held;
};

/** Milliseconds until a pass reads a missing set again. The operator does not watch users' ConfigMaps. */
export const goldenRecheckMs = 5_000;

/** @throws only when the pass was aborted */
export async function freezeGolden(deps: GoldenSetDeps, seen: Observed): Promise<Frozen> {
  const memory = deps.frozen ?? new Map();
  learnFrozen(memory, seen);
  const { target } = seen.rollout;
  const found = seen.records.get(target);
  const record = found === undefined ? undefined : { ...found, ...memory.get(target) };
  if (record === undefined || !isNeeded(seen, record)) return { frozen: new Map(memory) };
  const golden = await freeze(deps, seen, record);
  if (!('config' in golden)) return { frozen: new Map(memory), held: { revision: target, trouble: golden } };
  memory.set(target, { ...memory.get(target), golden });
  return { frozen: new Map(memory) };
}

/** Adds sets from the ConfigMaps of the revisions to the memory, and removes revisions that no longer have a record. */
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
  const golden = object.kind === configMaps.kind ? goldenIn(object as ConfigMap) : undefined;
  return present({ golden });
}

/** The set in a revision's ConfigMap; undefined if the ConfigMap has no set, or if it was changed by hand. */
const goldenIn = memoised((object: ConfigMap): FrozenGolden | undefined => {
  const golden = readFrozenGolden(object);
  return golden !== undefined && isWhole(golden) ? golden : undefined;
});

/** False when the ConfigMap was changed by hand: its content no longer matches the id. */
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

/**
 * Whether the target needs no golden set, because it passed all checks and gates before (proven), or because the spec
 * pins it or asks to promote it. A rollback during an incident must not wait for a ConfigMap.
 */
function needsNone({ plan, rollout }: Observed): boolean {
  return isExempt(rollout.target, { seen: rollout, plan }) || plan.promoteRevision === rollout.target;
}

function isRetried({ memory, plan, rollout }: Observed): boolean {
  if (memory.phase !== 'Failed' || memory.rejected !== rollout.target) return true;
  return (plan.retryToken !== undefined && plan.retryToken !== memory.handledRetryToken) || memory.stable === null;
}

/**
 * The attempt of the rollout in progress; 1 for a rollout that is about to begin. A failed rollout keeps its attempt
 * number.
 */
function attemptOf(memory: RolloutState, target: Revision): number {
  if (candidateOf(memory) !== target || !('attempt' in memory)) return 1;
  return memory.attempt;
}

type Gate = NonNullable<NonNullable<NonNullable<OnnxModelSpec['rollout']>['gates']>['golden']>;

async function freeze(deps: GoldenSetDeps, seen: Observed, record: RevisionRecord): Promise<FrozenGolden | Trouble> {
  const gate = seen.model.spec.rollout?.gates?.golden;
  const attempt = attemptOf(seen.memory, record.revision);
  if (gate?.configMapRef !== undefined) return freezeConfigMap(deps, { seen, gate, attempt }, gate.configMapRef.name);
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
  { client, call }: GoldenSetDeps,
  { seen, gate, attempt }: { readonly seen: Observed; readonly gate: Gate; readonly attempt: number },
  name: string,
): Promise<FrozenGolden | Trouble> {
  const picked = await pick(client, { namespace: seen.model.metadata.namespace, name }, call);
  if (picked.kind === 'problem')
    return { reason: picked.reason, message: `golden set: ${picked.problem}`, fatal: false };
  return frozen({ ...limitOf(gate), source: { kind: 'File', file: picked.file.name } }, attempt, picked.file);
}

async function pick(
  client: GoldenSetDeps['client'],
  name: { readonly namespace: string; readonly name: string },
  call: CallOptions,
): Promise<Picked> {
  try {
    return pickGoldenFile(await client.get<KubeObject & ConfigMap>(configMaps, name, call));
  } catch (error) {
    if (call.signal?.aborted === true) throw error;
    // Do not throw: the pass continues for stable, and only the candidate waits.
    const problem = isNotFound(error)
      ? `ConfigMap ${name.name} does not exist in namespace ${name.namespace}`
      : `ConfigMap ${name.name} cannot be read: ${messageOf(error)}`;
    return { kind: 'problem', reason: 'GoldenSetMissing', problem };
  }
}

/** A golden set with a pvc:// URI must be in the model's volume claim, because a pod mounts no other claim. */
function freezeUri(
  gate: Gate,
  { uri, digest }: { readonly uri: string; readonly digest: string },
  { record, attempt }: { readonly record: RevisionRecord; readonly attempt: number },
): FrozenGolden | Trouble {
  const [claim, mounted] = [volumeClaimOf(uri), volumeClaimOf(record.spec.model.uri)];
  if (claim !== undefined && claim !== mounted) {
    const problem =
      mounted === undefined
        ? 'the model is not in a volume claim'
        : `the model is in volume claim '${mounted}'; use the same claim for both`;
    return {
      reason: 'GoldenSetInvalid',
      message: `golden set: ${uri} is in volume claim '${claim}', which the pods do not mount: ${problem}`,
      fatal: false,
    };
  }
  return frozen({ ...limitOf(gate), source: { kind: 'Uri', uri, digest } }, attempt);
}

/** The values need no check: the CRD accepts only numbers, and only the limit (min or max) that the metric uses. */
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

/** @returns the digest of the gate and of the bytes of the set: `sha256:<64 hex>` */
function goldenId({ metric, min, max, source }: Omit<GoldenConfig, 'id'>, file: GoldenFile | undefined): string {
  const hash = createHash('sha256').update(JSON.stringify([metric, min ?? null, max ?? null, source]));
  if (file !== undefined) hash.update('text' in file ? file.text : Buffer.from(file.base64, 'base64'));
  return `sha256:${hash.digest('hex')}`;
}

type Picked =
  | { readonly kind: 'file'; readonly file: GoldenFile }
  | { readonly kind: 'problem'; readonly reason: 'GoldenSetMissing' | 'GoldenSetInvalid'; readonly problem: string };

/**
 * The maximum size of a set in a ConfigMap, as text or base64. Kubernetes limits a ConfigMap to 1 MiB, and the
 * revision's ConfigMap also contains the config file.
 */
export const goldenLimitBytes = 900 * 1024;

/** The keys to look for in a ConfigMap with several keys. The first key that exists is used. */
const usualKeys: readonly string[] = ['golden.jsonl', 'golden.bin'];

export function pickGoldenFile({
  metadata: { name },
  data = {},
  binaryData = {},
}: Pick<ConfigMap, 'metadata' | 'data' | 'binaryData'>): Picked {
  const keys = [...Object.keys(data), ...Object.keys(binaryData)];
  const key = keys.length === 1 ? keys[0] : usualKeys.find((usual) => keys.includes(usual));
  const file = key === undefined ? undefined : fileOf(ownValue(data, key), ownValue(binaryData, key));
  if (key === undefined || file === undefined) {
    const found = keys.length === 0 ? 'none' : keys.slice(0, 5).join(', ');
    return {
      kind: 'problem',
      reason: 'GoldenSetMissing',
      problem: `ConfigMap ${name} must contain one key, or one named ${usualKeys.join(' or ')} (found: ${found})`,
    };
  }
  const sizeBytes = Buffer.byteLength('text' in file ? file.text : file.base64);
  if (sizeBytes <= goldenLimitBytes) return { kind: 'file', file };
  return {
    kind: 'problem',
    reason: 'GoldenSetInvalid',
    problem:
      `key ${key} of ConfigMap ${name} has ${sizeBytes} bytes, the limit is ${goldenLimitBytes}: use ` +
      'spec.rollout.gates.golden.uri for a larger set',
  };
}

/**
 * The file gets a fixed name, because the user's key could equal the name of another file in the revision's ConfigMap.
 */
function fileOf(text: string | undefined, base64: string | undefined): GoldenFile | undefined {
  if (text !== undefined) return { name: 'golden.jsonl', text };
  return base64 === undefined ? undefined : { name: 'golden.bin', base64 };
}
