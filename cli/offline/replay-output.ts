/**
 * The output of `replay`: a table, or one JSON document. It is written in parts, one part for each look (evaluation of
 * the gates). Pure.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import { blockSeconds } from '../../api/report.ts';
import { decimal } from '../../api/text.ts';
import { formatDurationMs } from '../../api/units.ts';
import { pairedWords } from '../../operator/analysis/paired-words.ts';
import { alphaWords } from '../../operator/analysis/plan.ts';
import type { RecordedLook, RecordedOutcome } from './recorded-canary.ts';
import type { JudgedModel } from './manifest.ts';

/** The output in parts. Write `head` first, then `looks` any number of times, then `tail`. */
export type Output = {
  readonly head: (model: JudgedModel) => string;
  readonly looks: (looks: readonly RecordedLook[]) => string;
  readonly tail: (outcome: RecordedOutcome) => string;
};

/**
 * One JSON document: `{"model", "require", "maxDuration", "plan", "verdicts": [...], "outcome"}`, with one verdict on
 * each line.
 */
export function jsonOutput(): Output {
  let first = true;
  return {
    head: ({ name, plan, require, maxBlocks }) =>
      `{"model":${JSON.stringify(name)},"require":"${require}","maxDuration":"${longest(maxBlocks)}","plan":` +
      `${JSON.stringify(plan)},\n"verdicts":[`,
    looks: (looks) =>
      looks
        .map((look) => {
          const text = `${first ? '' : ','}\n${JSON.stringify(look)}`;
          first = false;
          return text;
        })
        .join(''),
    tail: (outcome) => `\n],\n"outcome":${JSON.stringify(outcome)}}\n`,
  };
}

/** The maximum duration of the step, or the default when it has none. */
function longest(maxBlocks: number | undefined): string {
  return maxBlocks === undefined ? rolloutDefaults.maxDuration : formatDurationMs(maxBlocks * blockSeconds * 1000);
}

const widths = [10, 14, 10, 17, 10, 22, 10] as const;

export function tableOutput(): Output {
  return {
    head: ({ name, plan, require, maxBlocks }) =>
      [
        `${name}: ${plan.gates.length} gates, ${plan.analyzeSteps} analyze steps, alpha ${alphaWords(plan)} each; ` +
          `judged as a step of at most ${longest(maxBlocks)} that requires ${require}`,
        columns(['time', 'gate', 'verdict', 'requests c/s', 'estimate', 'bounds', 'limit', 'still needed']),
        '',
      ].join('\n'),
    looks: (looks) => looks.map((look) => `${columns(cellsOf(look))}\n`).join(''),
    tail: (outcome) => `\n${sentence(outcome)}\n`,
  };
}

function cellsOf(look: RecordedLook): string[] {
  const requests =
    look.stableRequests === undefined
      ? String(look.candidateRequests)
      : `${look.candidateRequests}/${look.stableRequests}`;
  const bounds = `${shown(look, look.lower, 'none')} .. ${shown(look, look.upper, 'none')}`;
  return [
    decimal(look.t),
    look.gate,
    look.verdict,
    requests,
    shown(look, look.estimate, '-'),
    bounds,
    shown(look, look.limit, '-'),
    `${needed(look)}${pairsSay(look)}`,
  ];
}

/** The result of a gate by pairs (service times of the same request on both revisions), in words. */
function pairsSay({ gate, paired }: RecordedLook): string {
  return paired === undefined ? '' : `; ${pairedWords(gate, paired)}`;
}

function needed({ verdict, reason, requestsStillNeeded }: RecordedLook): string {
  if (verdict !== 'Undecided') return '-';
  if (reason === 'OneWindow') return 'depends on a few outlier seconds; check manually';
  return requestsStillNeeded === null
    ? 'more requests will not decide the gate'
    : `about ${twoDigits(requestsStillNeeded)}`;
}

/** Rounds a forecast of 100 or more to two significant digits, because more digits would not be reliable. */
function twoDigits(count: number): string {
  return count < 100 ? String(count) : Number(count.toPrecision(2)).toLocaleString('en-US');
}

function shown({ unit, stableRequests }: RecordedLook, value: number | null, absent: string): string {
  if (value === null) return absent;
  if (unit === 'ms') return `${value.toFixed(1)} ms`;
  const percent = Math.abs(value) < 5e-5 ? 0 : value * 100;
  const text = `${Math.abs(percent) < 10 ? percent.toFixed(2) : percent.toFixed(1)} %`;
  return stableRequests !== undefined && percent >= 0 ? `+${text}` : text;
}

function columns(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join(' ')
    .trimEnd();
}

function sentence(outcome: RecordedOutcome): string {
  const when = `at ${decimal(outcome.t)} s, after ${outcome.candidateRequests} requests of the candidate`;
  switch (outcome.verdict) {
    case 'Fail':
      return `Fail ${when}: ${outcome.gates
        .filter((gate) => gate.verdict === 'Fail')
        .map(because)
        .join('; ')}. The candidate would be rolled back.`;
    case 'Pass':
      return `Pass ${when}${outcome.shown === undefined ? '' : `: ${outcome.shown}`}. The rollout would continue.`;
    case 'Undecided':
      return `Undecided ${when}: ${
        outcome.gates
          .filter((gate) => gate.verdict === 'Undecided')
          .map((gate) => `${gate.gate} ${gate.reason ?? ''} (${needed(gate)})`)
          .join('; ') || 'too few requests or blocks'
      }.`;
  }
}

function because(gate: RecordedLook): string {
  if (gate.paired?.verdict === 'Fail') return pairedWords(gate.gate, gate.paired);
  return (
    `${gate.gate} is at least ${shown(gate, gate.lower, '-')} (estimate ${shown(gate, gate.estimate, '-')}), the ` +
    `limit is ${shown(gate, gate.limit, '-')}`
  );
}
