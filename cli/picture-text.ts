/**
 * The picture of a model as text for a terminal.
 *
 * Rule:  a part that has nothing to say is left out. What others wrote (messages, last words) is stripped of
 *        control characters.
 * Pure:  the time comes in.
 */
import type { Condition } from '../api/conditions.ts';
import type { FailingPod, RevisionStatus, RolloutOutcome } from '../api/onnxmodel.ts';
import { conditionsThatMatter, type Picture } from './picture.ts';
import { plainLine, plainLines } from './plain-text.ts';

const historyShown = 5;
/** The last ones: that is where a program says why it ended. */
const lastWordsShown = 8;

/** @param now milliseconds since the epoch */
export function pictureText(picture: Picture, now: number): string {
  const parts = [head(picture), revisions(picture), troubledPods(picture), conditions(picture.conditions, now), history(picture.history, now)];
  return `${parts.filter((lines) => lines.length > 0).map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function head(picture: Picture): readonly string[] {
  const { namespace, name, phase, outcome, reason, message, generation, observedGeneration, pods, url } = picture;
  const wanted = pods.wanted === undefined ? '' : `, ${pods.wanted} wanted`;
  return [
    `${namespace}/${name}: ${outcome}: ${reason}`,
    ...plainLines(message).map((line) => `  ${line}`),
    ...table([
      ['phase', phase],
      ['generation', generationText(generation, observedGeneration)],
      ['pods', `${pods.ready} of ${pods.all} ready${wanted}`],
      ...(url === undefined ? [] : [['url', plainLine(url)]]),
    ]),
  ];
}

function generationText(generation: number, observed: number): string {
  if (observed >= generation) return String(generation);
  return observed < 0 ? `${generation}, not seen yet` : `${generation}; everything here is of ${observed}`;
}

function revisions({ stable, candidate }: Picture): readonly string[] {
  if (stable === undefined && candidate === undefined) return [];
  const row = (role: string, of: RevisionStatus | undefined): readonly (readonly string[])[] => (of === undefined ? [] : [[role, ...revisionCells(of)]]);
  return table([['', 'REVISION', 'GENERATION', 'READY', 'PROVIDER', 'PRECISION', 'MEMORY', 'DIGEST'], ...row('stable', stable), ...row('candidate', candidate)]);
}

function revisionCells({ revision, generation, ready = 0, replicas = 0, provider, precision, memory, digest }: RevisionStatus): readonly string[] {
  return [revision, String(generation ?? '-'), `${ready}/${replicas}`, provider ?? '-', precision ?? '-', memoryText(memory), digest?.slice(0, 19) ?? '-'].map(plainLine);
}

function memoryText({ peak, estimate, limit }: NonNullable<RevisionStatus['memory']> = {}): string {
  const known = peak === undefined ? estimate === undefined ? undefined : `estimate ${estimate}` : `peak ${peak}`;
  if (limit === undefined) return known ?? '-';
  return known === undefined ? `limit ${limit}` : `${known} of ${limit}`;
}

function troubledPods({ stable, candidate }: Picture): readonly string[] {
  const lines = [...(stable?.pods ?? []), ...(candidate?.pods ?? [])].flatMap(podLines);
  return lines.length === 0 ? [] : ['Pods in trouble', ...lines];
}

function podLines({ name, reason, lastWords = '' }: FailingPod): readonly string[] {
  const words = plainLines(lastWords);
  const left = words.length - lastWordsShown;
  return [`  ${name}  ${plainLine(reason)}`, ...(left > 0 ? [`    (${left} lines before: -o json)`] : []), ...words.slice(-lastWordsShown).map((line) => `    ${line}`)];
}

function conditions(all: readonly Condition[], now: number): readonly string[] {
  const rows = conditionsThatMatter(all).map(({ type, status, reason, message, lastTransitionTime }) => [type, status, ago(lastTransitionTime, now), plainLine(reason), plainLine(message)]);
  return rows.length === 0 ? [] : ['Conditions', ...table(rows)];
}

function history(all: readonly RolloutOutcome[], now: number): readonly string[] {
  const rows = all.slice(0, historyShown).map(({ at, outcome, revision, reason, message = '' }) => [ago(at, now), outcome, revision, plainLine(reason), plainLine(message)]);
  return rows.length === 0 ? [] : ['History, latest first', ...table(rows)];
}

/** Columns two spaces apart, the whole two spaces in. */
function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows.reduce<readonly number[]>((so, row) => row.map((cell, i) => Math.max(so[i] ?? 0, cell.length)), []);
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}

const spans: readonly (readonly [unit: string, ms: number])[] = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1000]];

/** @param at an RFC 3339 time. @returns how long ago that was, in its largest unit: "4m" */
export function ago(at: string, now: number): string {
  const ms = now - Date.parse(at);
  if (Number.isNaN(ms)) return '?';
  const [unit, size] = spans.find(([, span]) => ms >= span) ?? ['s', 1000];
  return `${Math.max(0, Math.floor(ms / size))}${unit}`;
}
