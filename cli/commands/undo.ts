/**
 * `kubectl-onnx undo`: restores the spec of an older revision, which is then rolled out like any other change.
 *
 * Owns: the choice of the older revision. Only the fields of the spec that make a revision are written; their ownership
 * moves to the manager that applies the manifest. Exits with 0 when the spec was written or needed no change, with 2
 * when the model has no older revision. With --wait it exits as `wait` does.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import { revisionFieldNames, type OnnxModel } from '../../api/onnxmodel.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseFlags } from '../../lib/flags.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { lastKnownOf } from '../../operator/rollout/last-words.ts';
import { proves } from '../../operator/rollout/provenance.ts';
import type { JsonPatchOperation } from '../../kube/client/http-client.ts';
import type { ManagedFieldsEntry } from '../../api/kube-object.ts';
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

Restores the spec of an older revision, field by field; replicas, traffic and rollout stay as they are. The change is
rolled out like any other; if the revision passed every check and gate before and its pods still exist, it receives all
traffic at once, without a new rollout. Without --to, the command chooses the revision that was promoted last before the
current spec. The field manager that applies the manifest becomes the owner of the written fields, so that its next
apply can change or remove them. Also removes abortRevision (if it names REVISION), promoteRevision and resumeStep,
which would end or skip the rollout.

  --to REVISION       the revision: ten hex digits, or the first four or more of them
  --dry-run           only show the changes
${waitHelpLines}${clusterFlagsHelp}

Exit codes: 0 written, or nothing to change; 2 no older revision, wrong flags, or no such model; 4 the API server cannot
be reached; with --wait the exit codes of "wait".
`;

const flags = {
  ...clusterFlags,
  ...waitFlags,
  to: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
} as const;

/** @throws AppError when a flag is wrong, the model cannot be read, or the model has no older revision */
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
 * The revision in the history that was promoted last before the revision of the current spec. The status says which
 * revisions were promoted.
 *
 * @throws AppError INTENT_REFUSED when no other revision in the history was promoted
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
      ? 'the history has no older revision'
      : `the history has no earlier promotion; choose a revision with --to: ${others.join(', ')}`;
  throw new AppError('INTENT_REFUSED', {
    model: `${model.metadata.namespace}/${model.metadata.name}`,
    intent: 'undo',
    why,
  });
}

/**
 * The revision of the current spec: the revision in the history with equal fields. If the history has none and the
 * status is for the current generation: the candidate, or stable without a candidate. Otherwise undefined.
 */
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
  if (changes.length === 0) return { lines: [`the spec already equals the spec of ${target.revision}`] };
  const { resourceVersion } = model.metadata;
  // Uses `replace`, not `test`. When the version is outdated, the API server answers a `replace` with a conflict, which
  // is retried. It reports a failed `test` as an invalid patch, which is not retried.
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
 * Removes intents (fields of spec.rollout that ask for one action) that this command wrote earlier, if they would end
 * this rollout or would promote a later candidate without judging it.
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

/**
 * Writes the restored fields into the last-applied annotation of kubectl: a client-side apply only removes fields that
 * this annotation contains.
 */
function annotationPatch({ metadata }: OnnxModel, { written }: Remembered): readonly JsonPatchOperation[] {
  const value = lastAppliedWith(metadata, written, revisionFieldNames);
  return value === undefined
    ? []
    : [{ op: 'replace', path: `/metadata/annotations/${lastAppliedAnnotation.replaceAll('/', '~1')}`, value }];
}

/**
 * Makes the manager that applies the manifest the owner of the restored fields: a server-side apply only removes fields
 * that its manager owns.
 *
 * @returns warnings for the user
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
      `warning: ${cliManager} still owns these fields (${why}): apply with --force-conflicts as ` +
        `${plainLine(heir.manager ?? '')}; fields that the manifest does not have stay in the spec`,
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
          `warning: ${plainLine(git)} manages this model and will restore the spec of its source: revert the ` +
            'change there too',
        ]),
    ...(pinned === undefined
      ? []
      : [`warning: spec.rollout.pinRevision names ${pinned}: the restored spec takes effect after "unpin"`]),
    ...(proves(provenance) || provenance === 'Unrecorded'
      ? []
      : [`warning: ${target} is not proven (${provenance}): the checks and gates of the spec judge it`]),
  ];
}
