/**
 * The text of `status` and `watch` for a rollout: steps, traffic, gates, latencies.
 *
 * Empty parts are left out. The layout depends on `width`; some lines may still be wider. Pure: width and time are
 * parameters.
 */
import type { RevisionStatus } from '../../api/onnxmodel.ts';
import { ago } from './ago.ts';
import { plainLine } from './plain-text.ts';
import type { GatePicture, RolloutPicture, StepPicture } from './rollout-picture.ts';
import { domainOf, drawBar, drawScale, numberIn, type Domain } from './scale.ts';
import type { Paint, Style } from './terminal.ts';
import { counted } from '../../api/text.ts';
import { columnWidths, wrapped } from './text-table.ts';
import { ownValue } from '../../api/record.ts';

export type Drawing = { readonly now: number; readonly width: number; readonly paint: Paint };

const stepMarks: Readonly<Record<StepPicture['state'], string>> = { Done: '✓', Current: '▸', ToCome: '·' };
const barWidth = { least: 10, most: 40 } as const;
const scaleWidth = { least: 12, most: 40 } as const;

export function stepLines(
  { steps, step, stepCount, since, paused, attempt, promise }: RolloutPicture,
  { now, width, paint }: Drawing,
): readonly string[] {
  if (step === undefined) return [];
  const where =
    stepCount === undefined ? `step ${step}` : step > stepCount ? 'all steps done' : `step ${step} of ${stepCount}`;
  const facts = [
    where,
    ...(since === undefined ? [] : [`for ${ago(since, now)}`]),
    ...((attempt ?? 1) > 1 ? [`attempt ${attempt}`] : []),
    ...(paused === undefined ? [] : [paint('open', `paused: ${plainLine(paused)}`)]),
  ];
  const words = steps.map((one) => `${stepMarks[one.state]} ${one.text}`);
  const styled = (line: string): string => line.replace(/▸ [^✓▸·]+?(?=$| {3})/u, (current) => paint('strong', current));
  const forecast =
    promise === undefined ? [] : wrapped(`forecast: ${plainLine(promise)}`.split(' '), Math.max(20, width - 2));
  return [
    `Steps: ${facts.join(', ')}`,
    ...[...wrapped(words, Math.max(20, width - 2), '   ').map(styled), ...forecast].map((line) => `  ${line}`),
  ];
}

/** The share of the traffic of each revision, and the target when the actual weight differs from the target. */
export function trafficLines(
  { weight }: RolloutPicture,
  revisions: { readonly stable?: RevisionStatus; readonly candidate?: RevisionStatus },
  { width, paint }: Drawing,
): readonly string[] {
  const { stable, candidate } = revisions;
  if (weight === undefined || candidate === undefined) return [];
  const { desired, actual } = weight;
  const shown = actual ?? desired;
  const bar = Math.min(barWidth.most, Math.max(barWidth.least, width - 36));
  const row = (role: string, revision: string, share: number): string =>
    `  ${role.padEnd(9)}  ${revision.padEnd(10)}  ${drawBar(share / 100, bar)}  ${share}%`;
  const asked =
    actual === undefined
      ? `target ${desired}%; the actual share is not known yet`
      : actual === desired
        ? ''
        : `target ${desired}%`;
  return [
    `Traffic${asked === '' ? '' : paint('open', `: ${asked}`)}`,
    ...(stable === undefined ? [] : [row('stable', stable.revision, 100 - shown)]),
    row('candidate', candidate.revision, shown),
  ];
}

const verdictMarks: Readonly<Record<GatePicture['verdict'], { readonly mark: string; readonly style: Style }>> = {
  Pass: { mark: '✓', style: 'good' },
  Fail: { mark: '✗', style: 'bad' },
  Undecided: { mark: '?', style: 'open' },
};

/**
 * Each gate with its estimate, bounds and limit, in numbers and on a scale. A gate takes two lines when the terminal is
 * too narrow for one line.
 */
export function gateLines(
  { gates, judgedAt, alpha }: RolloutPicture,
  { now, width, paint }: Drawing,
): readonly string[] {
  if (gates.length === 0) return [];
  const facts = [
    ...(judgedAt === undefined ? [] : [`as of ${ago(judgedAt, now)} ago`]),
    ...(alpha === undefined ? [] : [`false-Fail probability per gate: ${alpha}`]),
  ];
  const head = `Gates${facts.length === 0 ? '' : paint('faint', `, ${facts.join(', ')}`)}`;
  const rows = gates.map((gate) => ({ gate, cells: gateCells(gate) }));
  const widths = columnWidths([gateHeads, ...rows.map(({ cells }) => cells)]);
  const room = Math.min(scaleWidth.most, width - widths.reduce((sum, one) => sum + one + 2, 4));
  const layout: GateLayout = { widths, paint, scale: room, width };
  const live =
    room >= scaleWidth.least
      ? [head, headLine(layout), ...rows.map((row) => oneLine(row, layout))]
      : [head, ...rows.flatMap((row) => twoLines(row, layout))];
  return [...live, ...gates.flatMap((gate) => classLines(gate, width)), ...gates.flatMap(pairedLine)];
}

/**
 * Additional lines for a gate that is judged for each class (requests of one tier and size): the class that decided the
 * verdict, and the class with the worst result.
 */
function classLines({ name, ofClass, worstClass }: GatePicture, width: number): readonly string[] {
  const lines = [
    ...(ofClass === undefined ? [] : [`${name} verdict from: ${ofClass}`]),
    ...(worstClass === undefined ? [] : [`${name}, worst class: ${worstClass}`]),
  ];
  return lines
    .flatMap((line) => wrapped(plainLine(line).split(' '), Math.max(20, width - 4)))
    .map((line) => `    ${line}`);
}

/**
 * A line with the gate's result by pairs (service times of the same request on both revisions); no line without pairs.
 */
function pairedLine({ paired }: GatePicture): readonly string[] {
  return paired?.message === undefined ? [] : [`    ${plainLine(paired.message)}`];
}

const gateHeads = ['GATE', 'ESTIMATE', 'BOUNDS', 'LIMIT', 'REQUESTS', ''];
/** The number of table columns to the left of the scale. */
const before = 4;

type GateLayout = {
  readonly widths: readonly number[];
  readonly paint: Paint;
  readonly scale: number;
  readonly width: number;
};
type GateRow = { readonly gate: GatePicture; readonly cells: readonly string[] };

function headLine({ widths, scale }: GateLayout): string {
  const columns = padded(gateHeads, widths);
  return `    ${[...columns.slice(0, before), ' '.repeat(scale), ...columns.slice(before)].join('  ')}`.trimEnd();
}

function oneLine({ gate, cells }: GateRow, { widths, paint, scale }: GateLayout): string {
  const columns = padded(cells, widths);
  return (
    `  ${markOf(gate, paint)} ` +
    `${[...columns.slice(0, before), gateScale(gate, scale).padEnd(scale), ...columns.slice(before)].join('  ')}`
  ).trimEnd();
}

function twoLines({ gate, cells }: GateRow, { widths, paint, width }: GateLayout): readonly string[] {
  const [name = '', estimate = '', bounds = '', limit = '', requests = '', note = ''] = padded(cells, widths).map(
    (cell, i) => (i < before ? cell : cell.trimEnd()),
  );
  const words = `${requests} requests: ${note}`;
  const room = Math.min(scaleWidth.most, width - 8 - words.length);
  const drawn = room < scaleWidth.least ? '' : gateScale(gate, room);
  return [
    `  ${markOf(gate, paint)} ${name}  ${estimate}  ${bounds}  limit ${limit}`.trimEnd(),
    `      ${drawn === '' ? '' : `${drawn}  `}${words}`,
  ];
}

function padded(cells: readonly string[], widths: readonly number[]): readonly string[] {
  return cells.map((cell, i) => cell.padEnd(widths[i] ?? 0));
}

function markOf({ verdict }: GatePicture, paint: Paint): string {
  const { style, mark } = verdictMarks[verdict];
  return paint(style, mark);
}

function gateCells(gate: GatePicture): readonly string[] {
  const { name, verdict, estimate = '-', lower, upper, limit = '-', candidateRequests, stableRequests } = gate;
  const counts = [candidateRequests, stableRequests]
    .filter((count) => count !== undefined)
    .map(counted)
    .join(' / ');
  return [
    name,
    estimate,
    boundsText(lower, upper),
    limit,
    counts === '' ? '-' : counts,
    verdict === 'Undecided' ? undecidedText(gate) : verdict,
  ].map(plainLine);
}

const undecidedWords: Readonly<Record<string, string>> = {
  TooFewRequests: 'too few requests',
  OneWindow: 'depends on a few outlier seconds; check manually',
  LoadUnequal: 'not judged: unequal load per pod',
};

function undecidedText({ reason, requestsStillNeeded: needed, stillNeeded }: GatePicture): string {
  const why = ownValue(undecidedWords, reason ?? '');
  if (reason === 'OneWindow' || reason === 'LoadUnequal') return why ?? '';
  const more = stillNeeded ?? (needed === undefined ? undefined : `about ${counted(needed)} more requests`);
  if (why === undefined) return more ?? 'more requests will not decide the gate';
  return more === undefined ? why : `${why}: ${more}`;
}

function boundsText(lower: string | undefined, upper: string | undefined): string {
  return lower === undefined && upper === undefined ? '-' : `${lower ?? '?'} .. ${upper ?? '?'}`;
}

/** Draws a gate on a scale. A scale of differences (the limit is in %) always includes 0, which means no change. */
function gateScale(gate: GatePicture, width: number): string {
  const [lower, estimate, upper, limit] = [gate.lower, gate.estimate, gate.upper, gate.limit].map(numberIn);
  const domain = domainOf([lower, estimate, upper, limit, gate.limit?.endsWith('%') === true ? 0 : undefined]);
  return domain === undefined ? '' : drawScale({ lower, estimate, upper }, limit, domain, width);
}

/**
 * A gate's estimate, bounds, limit, counts and verdict in one line: "p95 +52% (+21% .. +90%, limit +15%), 1,180 /
 * 11,020 requests: Fail".
 */
export function evidenceText(gate: GatePicture): string {
  const [name = '', estimate = '', bounds = '', limit = '', requests = ''] = gateCells(gate);
  const pairs = gate.paired?.message === undefined ? '' : `; ${plainLine(gate.paired.message)}`;
  return `${name} ${estimate} (${bounds}, limit ${limit}), ${requests} requests: ${gate.verdict}${pairs}`;
}

/** The latency quantiles of both revisions with their bounds. The two rows of a gate are drawn on the same scale. */
export function latencyLines({ gates }: RolloutPicture, { width }: Drawing): readonly string[] {
  const sides = gates.flatMap(({ name, stableLatency, candidateLatency }) => {
    const pair = [
      { role: 'stable', own: stableLatency },
      { role: 'candidate', own: candidateLatency },
    ].filter(({ own }) => own?.estimate !== undefined);
    const domain = domainOf(pair.flatMap(({ own }) => [own?.lower, own?.estimate, own?.upper].map(numberIn)));
    return pair.map(({ role, own }, i) => ({
      cells: [i === 0 ? name : '', role, own?.estimate ?? '-', boundsText(own?.lower, own?.upper)].map(plainLine),
      own,
      domain,
    }));
  });
  if (sides.length === 0) return [];
  const widths = columnWidths(sides.map(({ cells }) => cells));
  const room = Math.min(scaleWidth.most, width - widths.reduce((sum, one) => sum + one + 2, 4));
  const lines = sides.map(({ cells, own, domain }) =>
    `    ${cells.map((cell, j) => cell.padEnd(widths[j] ?? 0)).join('  ')}  ${sideScale(own, domain, room)}`.trimEnd(),
  );
  return ['Latency of both revisions, with bounds', ...lines];
}

function sideScale(own: GatePicture['stableLatency'], domain: Domain | undefined, room: number): string {
  if (domain === undefined || room < scaleWidth.least) return '';
  const [lower, estimate, upper] = [own?.lower, own?.estimate, own?.upper].map(numberIn);
  return drawScale({ lower, estimate, upper }, undefined, domain, room);
}
