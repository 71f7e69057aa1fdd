/**
 * The two objects that store a revision: a ControllerRevision, and the ConfigMap that its pods read.
 *
 * Terms: A golden set is a set of inputs that the pods must answer well before they get traffic. A sample is a live
 * request that is kept with its answer, for the candidate to answer too.
 * Owns: the format of the ControllerRevision's `data`, and reading it. The data is immutable, so facts that become
 * known later are annotations.
 * Pure.
 */
import { printAccess } from '../../api/access.ts';
import { rolloutDefaults, type FrozenSpec } from '../../api/defaults.ts';
import { parseLastWords, printLastWords, type Resolved } from '../../api/last-words.ts';
import { annotations, childName, labels, paths, revisionAtEnd } from '../../api/names.ts';
import type { ObjectMeta } from '../../api/kube-object.ts';
import type { OnnxModel, RevisionSpec } from '../../api/onnxmodel.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import { parsePercent } from '../../api/units.ts';
import { podTemplate } from './deployment.ts';
import {
  childMeta,
  type FrozenGolden,
  type Manifest,
  type PodTemplateManifest,
  type RevisionRecord,
} from './objects.ts';
import { runtimeConfig } from './runtime-config.ts';

export function controllerRevision(model: OnnxModel, record: RevisionRecord): Manifest {
  const metadata = childMeta(model, childName(model.metadata.name, record.revision), record.revision);
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata:
      record.resolved === undefined
        ? metadata
        : { ...metadata, annotations: { [annotations.resolved]: resolvedText(record.resolved) } },
    revision: record.generation,
    data: {
      schema: 1,
      written: record.written,
      spec: record.spec,
      template: record.template ?? podTemplate(model, record),
    },
  };
}

/** The unchecked data of a ControllerRevision: any part may be missing. */
type Data = {
  readonly schema?: unknown;
  readonly written?: RevisionSpec;
  readonly spec?: FrozenSpec;
  readonly template?: PodTemplateManifest;
};

/** @returns undefined when the object does not have the format that `controllerRevision` writes */
export function readControllerRevision(object: {
  readonly metadata: Partial<ObjectMeta>;
  readonly revision?: unknown;
  readonly data?: unknown;
}): RevisionRecord | undefined {
  const { name = '', labels: marks = {}, annotations: notes = {} } = object.metadata;
  // Prefer the name, which is immutable; users can change labels.
  const revision = revisionAtEnd(name) ?? marks[labels.revision];
  const data = frozenIn(object.data);
  if (revision === undefined || typeof object.revision !== 'number' || data === undefined) return undefined;
  return { revision, generation: object.revision, ...data, ...resolvedOf(notes[annotations.resolved]) };
}

function frozenIn(
  data: unknown,
): (Pick<RevisionRecord, 'written' | 'spec'> & { readonly template: PodTemplateManifest }) | undefined {
  const { schema, written, spec, template } = (data ?? {}) as Data;
  return schema !== 1 || written === undefined || spec === undefined || template === undefined
    ? undefined
    : { written, spec, template };
}

/** The ConfigMap that every pod of the revision reads at its start. */
export function configMap(model: OnnxModel, record: RevisionRecord): Manifest {
  const metadata = childMeta(model, childName(model.metadata.name, record.revision), record.revision);
  const { golden, resolved, token } = record;
  const file = golden?.file;
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata:
      golden === undefined
        ? metadata
        : { ...metadata, annotations: { [annotations.goldenAttempt]: String(golden.attempt) } },
    data: {
      [paths.configFile]: `${JSON.stringify(runtimeConfig(model, record), undefined, 2)}\n`,
      ...(resolved === undefined
        ? {}
        : { [paths.resolvedFile]: `${JSON.stringify(briefly(resolved), undefined, 2)}\n` }),
      ...(token === undefined ? {} : { [paths.accessFile]: printAccess({ schema: 1, token, ...sampling(model) }) }),
      ...(file !== undefined && 'text' in file ? { [file.name]: file.text } : {}),
    },
    ...(file !== undefined && 'base64' in file ? { binaryData: { [file.name]: file.base64 } } : {}),
  };
}

/**
 * The share of live requests to keep as samples: the highest share that the quality gate or a shadow step asks for. The
 * field is absent if no requests are kept.
 */
function sampling({ spec: { rollout = {} } }: OnnxModel): { readonly sampleRate?: number } {
  const shadows = (rollout.steps ?? []).flatMap(({ shadow }) =>
    shadow === undefined ? [] : [shadow.share ?? rolloutDefaults.shadowShare],
  );
  const asked = [...shadows, ...(rollout.gates?.quality === undefined ? [] : [rollout.gates.quality.sampleRate])];
  const sampleRate = Math.max(0, ...asked.map((share) => Math.min(1, parsePercent(share) ?? 0)));
  return sampleRate === 0 ? {} : { sampleRate };
}

/** Leaves out the model's I/O signature, which pods do not need and which may be long. */
function briefly(resolved: Resolved): Resolved {
  const { io: _io, ...rest } = resolved;
  return rest;
}

/**
 * The golden set in a revision's ConfigMap.
 * @returns undefined when the ConfigMap has no golden set, or when the file of the set is missing
 */
export function readFrozenGolden({
  metadata,
  data = {},
  binaryData = {},
}: {
  readonly metadata: Pick<ObjectMeta, 'annotations'>;
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}): FrozenGolden | undefined {
  const attempt = Number(metadata.annotations?.[annotations.goldenAttempt]);
  const config = goldenIn(data[paths.configFile]);
  if (config === undefined || !Number.isSafeInteger(attempt)) return undefined;
  if (config.source.kind !== 'File') return { config, attempt };
  const name = config.source.file;
  const [text, base64] = [data[name], binaryData[name]];
  if (text !== undefined) return { config, attempt, file: { name, text } };
  return base64 === undefined ? undefined : { config, attempt, file: { name, base64 } };
}

/**
 * The config file's content is not validated, because the operator wrote it. operator/golden/golden-set.ts compares the
 * id of the set to detect manual changes.
 */
function goldenIn(text: string | undefined): GoldenConfig | undefined {
  try {
    return (JSON.parse(text ?? '{}') as { readonly golden?: GoldenConfig }).golden;
  } catch {
    return undefined;
  }
}

function resolvedOf(text: string | undefined): Pick<RevisionRecord, 'resolved'> {
  const words = text === undefined ? undefined : parseLastWords(text);
  return words?.kind === 'resolved' ? { resolved: words.resolved } : {};
}

function resolvedText(resolved: Resolved): string {
  return printLastWords({ kind: 'resolved', resolved });
}
