/**
 * The text of `status` and `watch` for one model.
 *
 * Empty parts are left out. Control characters are removed from text that other programs wrote: messages, and last
 * words (the termination message of a container).
 * Pure: time and width are parameters.
 */
import type { FailingPod, RevisionStatus, RolloutOutcome } from '../../api/onnxmodel.ts';
import { ago } from './ago.ts';
import type { ModelOutcome } from '../cluster/outcome.ts';
import { conditionsThatMatter, type Picture } from './picture.ts';
import { plainLine, plainLines } from './plain-text.ts';
import { gatesBehind } from './rollout-picture.ts';
import { evidenceText, gateLines, latencyLines, stepLines, trafficLines, type Drawing } from './rollout-text.ts';
import { unpainted, type Style } from './terminal.ts';
import { table, wrapped } from './text-table.ts';

const historyShown = 5;
/**
 * The maximum number of lines that are shown of a pod's last words. The last lines are shown, because a program usually
 * writes there why it ended.
 */
const lastWordsShown = 8;

type Part = (picture: Picture, drawing: Drawing) => readonly string[];

/** The parts of the page of `status`, and of the live view of `watch`. */
const parts = {
  page: [head, rollout, revisions, gates, latency, troubledPods, conditions, history],
  live: [liveHead, rollout, revisions, gates, latency, troubledPods],
} as const satisfies Readonly<Record<string, readonly Part[]>>;

/**
 * The text for one model.
 * @param drawing.now milliseconds since the epoch. Without drawing.width, lines are not cut; without drawing.paint,
 *   text has no colours
 */
export function pictureText(
  picture: Picture,
  drawing: Partial<Drawing> & Pick<Drawing, 'now'>,
  which: keyof typeof parts = 'page',
): string {
  const whole: Drawing = { width: Infinity, paint: unpainted, ...drawing };
  const shown = parts[which].map((part: Part) => part(picture, whole)).filter((lines) => lines.length > 0);
  return `${shown.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

const outcomeStyles: Readonly<Record<ModelOutcome['outcome'], Style>> = {
  Ready: 'good',
  Stalled: 'bad',
  Progressing: 'strong',
};

function head(picture: Picture, drawing: Drawing): readonly string[] {
  const { phase, generation, observedGeneration, pods, url, unproven } = picture;
  const wanted = pods.wanted === undefined ? '' : `, ${pods.wanted} wanted`;
  return [
    ...headline(picture, drawing),
    ...table([
      ['phase', phase],
      ['generation', generationText(generation, observedGeneration)],
      ['pods', `${pods.ready} of ${pods.all} ready${wanted}`],
      ...(url === undefined ? [] : [['url', plainLine(url)]]),
      ...intentRows(picture),
      ...(unproven === undefined ? [] : [['not proven', plainLine(unproven)]]),
    ]),
  ];
}

/** Rows about fields of spec.rollout that stay in effect until they are removed: a pin, a manual pause. */
function intentRows({ pinned, paused, rollout: of }: Picture): readonly (readonly string[])[] {
  const held =
    of === undefined ? 'spec.rollout.paused holds the next rollout' : 'spec.rollout.paused holds the rollout';
  return [
    ...(pinned === undefined ? [] : [['pinned', `${plainLine(pinned)}, until "unpin"`]]),
    ...(paused === undefined ? [] : [['paused', `${held}, until "resume"`]]),
  ];
}

/**
 * The part that replaces `head` in the live view. It is shorter than `head`, because a terminal may have only 24 lines.
 */
function liveHead(picture: Picture, drawing: Drawing): readonly string[] {
  const { generation, observedGeneration } = picture;
  const unseen =
    observedGeneration < generation ? [['generation', generationText(generation, observedGeneration)]] : [];
  return [...headline(picture, drawing), ...table([...unseen, ...intentRows(picture)])];
}

function headline(
  { namespace, name, outcome, reason, message }: Picture,
  { width, paint }: Drawing,
): readonly string[] {
  const lines = plainLines(message)
    .flatMap((line) => wrapped(line.split(' '), width - 2))
    .map((line) => `  ${line}`);
  return [
    `${paint('strong', `${namespace}/${name}`)}: ${paint(outcomeStyles[outcome], `${outcome}: ${reason}`)}`,
    ...lines,
  ];
}

function rollout({ rollout: of, stable, candidate }: Picture, drawing: Drawing): readonly string[] {
  return of === undefined
    ? []
    : [
        ...stepLines(of, drawing),
        ...trafficLines(
          of,
          { ...(stable === undefined ? {} : { stable }), ...(candidate === undefined ? {} : { candidate }) },
          drawing,
        ),
      ];
}

function gates({ rollout: of }: Picture, drawing: Drawing): readonly string[] {
  return of === undefined ? [] : gateLines(of, drawing);
}

function latency({ rollout: of }: Picture, drawing: Drawing): readonly string[] {
  return of === undefined ? [] : latencyLines(of, drawing);
}

function generationText(generation: number, observed: number): string {
  if (observed >= generation) return String(generation);
  return observed < 0
    ? `${generation}, not observed yet`
    : `${generation}, not observed yet; this status is for ${observed}`;
}

function revisions({ stable, candidate }: Picture): readonly string[] {
  if (stable === undefined && candidate === undefined) return [];
  const row = (role: string, of: RevisionStatus | undefined): readonly (readonly string[])[] =>
    of === undefined ? [] : [[role, ...revisionCells(of)]];
  return table([
    ['', 'REVISION', 'GENERATION', 'READY', 'PROVIDER', 'PRECISION', 'MEMORY', 'DIGEST'],
    ...row('stable', stable),
    ...row('candidate', candidate),
  ]);
}

function revisionCells({
  revision,
  generation,
  ready = 0,
  replicas = 0,
  provider,
  precision,
  memory,
  digest,
}: RevisionStatus): readonly string[] {
  return [
    revision,
    String(generation ?? '-'),
    `${ready}/${replicas}`,
    provider ?? '-',
    precision ?? '-',
    memoryText(memory),
    digest?.slice(0, 19) ?? '-',
  ].map(plainLine);
}

function memoryText({ peak, estimate, limit }: NonNullable<RevisionStatus['memory']> = {}): string {
  const known = peak === undefined ? (estimate === undefined ? undefined : `estimate ${estimate}`) : `peak ${peak}`;
  if (limit === undefined) return known ?? '-';
  return known === undefined ? `limit ${limit}` : `${known} of ${limit}`;
}

function troubledPods({ stable, candidate }: Picture): readonly string[] {
  const lines = [...(stable?.pods ?? []), ...(candidate?.pods ?? [])].flatMap(podLines);
  return lines.length === 0 ? [] : ['Failing pods', ...lines];
}

function podLines({ name, reason, lastWords = '' }: FailingPod): readonly string[] {
  const words = plainLines(lastWords);
  const left = words.length - lastWordsShown;
  return [
    `  ${name}  ${plainLine(reason)}`,
    ...(left > 0 ? [`    (${left} earlier lines: see -o json)`] : []),
    ...words.slice(-lastWordsShown).map((line) => `    ${line}`),
  ];
}

function conditions({ conditions: all }: Picture, { now }: Drawing): readonly string[] {
  const rows = conditionsThatMatter(all).map(({ type, status, reason, message, lastTransitionTime }) => [
    type,
    status,
    ago(lastTransitionTime, now),
    plainLine(reason),
    plainLine(message),
  ]);
  return rows.length === 0 ? [] : ['Conditions', ...table(rows)];
}

function history({ history: all }: Picture, { now }: Drawing): readonly string[] {
  const shown = all.slice(0, historyShown);
  const rows = table(
    shown.map(({ at, outcome, revision, reason, message = '' }) => [
      ago(at, now),
      outcome,
      revision,
      plainLine(reason),
      plainLine(message),
    ]),
  );
  return rows.length === 0
    ? []
    : ['History, latest first', ...rows.flatMap((row, i) => [row, ...evidenceLines(shown[i])])];
}

/** The results of the gates that ended a rollout. */
function evidenceLines(outcome: RolloutOutcome | undefined): readonly string[] {
  return outcome === undefined
    ? []
    : gatesBehind(outcome).map(
        (gate) =>
          `      ${evidenceText(gate)}${outcome.weight === undefined ? '' : `, at ${outcome.weight}% of the traffic`}`,
      );
}
