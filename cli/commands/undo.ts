/**
 * `kubectl-onnx undo`: puts the spec of an older revision back, which then is rolled out like any change.
 *
 * Owns:  which revision is the one before, that exactly the fields that make a revision are replaced, and that they are
 *        whose the manifest is afterwards.
 * Ends:  0 when it is written, or would be with --dry-run, or is so already; 2 when there is nothing to go back to;
 *        with --wait as `wait` does.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import { revisionFieldNames, type OnnxModel } from '../../api/onnxmodel.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { lastKnownOf } from '../../operator/rollout/last-words.ts';
import { proves } from '../../operator/rollout/provenance.ts';
import type { JsonPatchOperation } from '../../kube/client/http-client.ts';
import type { ManagedFieldsEntry } from '../../kube/client/object.ts';
import { changeModel, observed, type ModelChange } from '../cluster/change-model.ts';
import { clusterFlags, clusterFlagsHelp, onlyName } from '../cluster/cluster-flags.ts';
import { applierOf, handedOver } from '../cluster/hand-over.ts';
import { openCluster, type Cluster } from '../cluster/api-server.ts';
import type { ModelRef } from '../cluster/models.ts';
import {
  cliManager,
  gitOwner,
  lastAppliedAnnotation,
  lastAppliedWith,
  ownRolloutFields,
} from '../cluster/ownership.ts';
import { plainLine } from '../text/plain-text.ts';
import { namedRevision, rememberedRevisions, type Remembered } from '../cluster/remembered-revisions.ts';
import { differenceLines, differences, revisionPart, revisionPatch } from '../text/spec-difference.ts';
import { standingOf } from '../cluster/standing.ts';
import { waitFlags, waitFor, waitHelpLines, waitPlanOf } from './wait.ts';

export const undoHelp = `Usage: kubectl-onnx undo NAME [--to REVISION] [options]

Writes the spec of an older revision back, field for field; replicas, traffic and rollout stay as they are. That is a
change like any other: it is rolled out, at once where the old pods are still there and the revision is proven. \
Without --to
it goes to the revision that was promoted last before the present spec. The fields that are written become those of \
whoever applies the manifest,
so that the next apply from Git may change or remove them. Intents of this command that would end or skip the rollout
(abortRevision of that revision, promoteRevision, resumeStep) are taken out.

  --to REVISION       ten hex digits, or their beginning, four at the least
  --dry-run           only show what would change
${waitHelpLines}${clusterFlagsHelp}

Exit codes: 0 written, or so already; 2 nothing to go back to, wrong flags, or no such model; 4 the API server cannot be
reached; with --wait those of "wait".
`;

const flags = {
  ...clusterFlags,
  ...waitFlags,
  to: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
} as const;

/** @throws AppError for what the user has to mend */
export async function undo(
  argv: readonly string[],
  write: (text: string) => void,
  stop: AbortSignal,
): Promise<ExitCode> {
  const { values, positionals } = parseFlags('undo', argv, flags);
  if (values.help) {
    write(undoHelp);
    return exitCodes.ok;
  }
  const name = onlyName(positionals);
  const plan = waitPlanOf(values);
  const cluster = await openCluster(values);
  const ref = { name, namespace: values.namespace ?? cluster.namespace };
  const remembered = await rememberedRevisions(cluster, ref, stop);
  let said: readonly string[] = [];
  let heir: ManagedFieldsEntry | undefined;
  const decide = (model: OnnxModel): ModelChange | undefined => {
    heir = applierOf(model.metadata);
    const target = values.to === undefined ? previous(model, remembered) : namedRevision(remembered, values.to, '--to');
    const back = backTo(model, target);
    said = back.lines;
    return values['dry-run'] ? undefined : back.change;
  };
  const written = await changeModel(
    cluster,
    ref,
    { clock: systemClock, signal: stop, settled: values.to === undefined ? observed : undefined },
    decide,
  );
  if (!values['dry-run']) said = [...said, ...(await giveToApplier(cluster, ref, heir, stop))];
  const last = written ? 'written' : values['dry-run'] ? 'not written (--dry-run)' : 'nothing to do';
  write([...said, `${ref.namespace}/${name}: undo: ${last}`].map((line) => `${line}\n`).join(''));
  return plan === undefined || !written ? exitCodes.ok : waitFor(cluster, ref, plan, { write, stop });
}

/**
 * The revision that was promoted last before the present spec: by the status's history, as far as it is remembered.
 *
 * @throws AppError INTENT_REFUSED when there is none
 */
export function previous(model: OnnxModel, remembered: readonly Remembered[]): Remembered {
  const now = presentRevision(model, remembered);
  const promoted = (model.status?.history ?? [])
    .filter(({ outcome }) => outcome === 'Promoted')
    .map(({ revision }) => revision);
  for (const revision of promoted) {
    const found = remembered.find((one) => one.revision === revision);
    if (found !== undefined && revision !== now) return found;
  }
  const others = remembered.filter(({ revision }) => revision !== now).map(({ revision }) => revision);
  const why =
    others.length === 0
      ? 'no older revision is remembered'
      : `the history names none that was promoted before; say which with --to: ${others.join(', ')}`;
  throw new AppError('INTENT_REFUSED', {
    model: `${model.metadata.namespace}/${model.metadata.name}`,
    intent: 'undo',
    why,
  });
}

/** The revision of the spec as it is: the one of its words, else the one that the status of this spec speaks of. */
function presentRevision(model: OnnxModel, remembered: readonly Remembered[]): string | undefined {
  const asWritten = remembered.find(({ written }) => differences(written, revisionPart(model.spec), '').length === 0);
  const { observed, candidate, stable } = standingOf(model);
  return asWritten?.revision ?? (observed ? (candidate ?? stable) : undefined);
}

function backTo(
  model: OnnxModel,
  target: Remembered,
): { readonly lines: readonly string[]; readonly change?: ModelChange } {
  const now = revisionPart(model.spec);
  const changes = differences(now, target.written, 'spec');
  if (changes.length === 0) return { lines: [`the spec is that of ${target.revision}`] };
  const { resourceVersion } = model.metadata;
  // Not a test: that would be refused as wrong; a version that is not the present one is a conflict.
  const guard: JsonPatchOperation = { op: 'replace', path: '/metadata/resourceVersion', value: resourceVersion };
  return {
    lines: [
      `back to ${target.revision}, the spec of generation ${target.generation}:`,
      ...differenceLines(changes).map((line) => `  ${plainLine(line)}`),
      ...warningsOf(model, target.revision),
    ],
    change: {
      kind: 'Operations',
      patch: [
        guard,
        ...revisionPatch(now, target.written),
        ...intentsPatch(model, target.revision),
        ...annotationPatch(model, target),
      ],
    },
  };
}

/**
 * Intents that this command wrote once and that would end this rollout, or promote a revision unjudged that comes back
 * later.
 */
function intentsPatch({ metadata, spec: { rollout = {} } }: OnnxModel, target: string): readonly JsonPatchOperation[] {
  const isOver = (field: string): boolean =>
    field === 'promoteRevision' ||
    field === 'resumeStep' ||
    (field === 'abortRevision' && rollout.abortRevision === target);
  return ownRolloutFields(metadata)
    .filter((field) => isOver(field) && Object.hasOwn(rollout, field))
    .map((field) => ({ op: 'remove', path: `/spec/rollout/${field}` }));
}

/** A client-side apply removes only what its annotation has: without this, what is written here would stay for ever. */
function annotationPatch({ metadata }: OnnxModel, { written }: Remembered): readonly JsonPatchOperation[] {
  const value = lastAppliedWith(metadata, written, revisionFieldNames);
  return value === undefined
    ? []
    : [{ op: 'replace', path: `/metadata/annotations/${lastAppliedAnnotation.replaceAll('/', '~1')}`, value }];
}

/**
 * A server-side apply removes only what its manager owns: the fields written above become the applier's.
 *
 * @returns what to tell the user
 */
async function giveToApplier(
  cluster: Cluster,
  ref: ModelRef,
  heir: ManagedFieldsEntry | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (heir === undefined) return [];
  try {
    await changeModel(cluster, ref, { clock: systemClock, signal }, ({ metadata }) => {
      const managedFields = handedOver(metadata, heir);
      return managedFields === undefined
        ? undefined
        : {
            kind: 'Merge',
            patch: { metadata: { resourceVersion: metadata.resourceVersion, managedFields } },
          };
    });
    return [];
  } catch (error) {
    const why = plainLine(messageOf(error));
    return [
      `warning: the fields stay owned by ${cliManager} (${why}): the next apply of ` +
        `${plainLine(heir.manager ?? '')} needs --force-conflicts, and does not remove what the manifest lacks`,
    ];
  }
}

function warningsOf({ metadata, spec, status }: OnnxModel, target: string): readonly string[] {
  const git = gitOwner(metadata);
  const pinned = spec.rollout?.pinRevision;
  const provenance = lastKnownOf(status).provenance[target] ?? 'Unrecorded';
  return [
    ...(git === undefined
      ? []
      : [
          `warning: ${plainLine(git)} keeps this model, and will put the spec of its source back: revert it there ` +
            'as well',
        ]),
    ...(pinned === undefined
      ? []
      : [`warning: spec.rollout.pinRevision names ${pinned}: what is written here counts after "unpin"`]),
    ...(proves(provenance) || provenance === 'Unrecorded'
      ? []
      : [`warning: ${target} is not proven (${provenance}): it is judged by the checks and gates of the spec`]),
  ];
}
