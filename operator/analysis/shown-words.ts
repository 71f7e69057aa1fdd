/**
 * "Nothing worse than X": messages about what a rollout has shown and what a step promises to show.
 *
 * Terms: A bound is shown when a gate's Pass excludes every increase above it. A promise says before a step what the
 * step can show. A pair is the service times of the same request on stable and on the candidate. A NoFail step ends
 * after a set time if no gate failed.
 * Rule: X is rounded up, so that the message stays true. For a bound below the limit, X is the limit.
 * Pure.
 */
import { plural } from '../../api/text.ts';
import { isCompared, kindOfGate, type TrafficGate } from './gate-kinds/kinds.ts';
import type { GatePlan } from './plan.ts';
import { shownBy, type GatePromise, type StepPromise } from './promise.ts';
import type { GateResult } from './verdict.ts';

/**
 * An increase in words: "+38 %" for a latency, "+2.1 points" for a rate.
 * @param value a ratio minus one, or a share of requests
 */
export function increaseWords(gate: Pick<TrafficGate, 'kind'>, value: number): string {
  const percent = roundedUp(value * 100);
  return kindOfGate(gate).unit === 'points' ? `+${percent} ${percent === 1 ? 'point' : 'points'}` : `+${percent} %`;
}

/** Rounded up to two significant digits. */
export function roundedUp(value: number): number {
  if (!(value > 0)) return 0;
  const digit = 10 ** (Math.floor(Math.log10(value) + 1e-9) - 1);
  return Number((Math.ceil(value / digit - 1e-6) * digit).toPrecision(3));
}

/**
 * The bounds of the gates that compare with stable: "nothing worse than +38 % p95, +2.1 points errors shown; no bound
 * for p99". A bound that pairs have shown is followed by "from pairs". A NoFail step may end while a gate is undecided;
 * that gate then has no bound.
 *
 * @returns undefined when no gate has shown anything
 */
export function shownWords({ gates }: GatePlan, results: readonly GateResult[]): string | undefined {
  const compared = gates.flatMap((gate, i) => {
    const result = results[i];
    return result === undefined || !isCompared(gate) ? [] : [{ gate, ...shownIn(gate, result) }];
  });
  const shown = compared.flatMap(({ gate, shows, by }) =>
    shows === null ? [] : [`${increaseWords(gate, shows)} ${gate.name}${by}`],
  );
  if (shown.length === 0) return undefined;
  const not = compared.filter(({ shows }) => shows === null).map(({ gate }) => gate.name);
  return `nothing worse than ${shown.join(', ')} shown${not.length === 0 ? '' : `; no bound for ${listed(not)}`}`;
}

/**
 * The bound that a gate has shown. It comes from pairs if the pairs passed the gate, otherwise from live requests. If
 * the gate's Pass states no bound (`atMost` is Infinity), the bound always comes from live requests, because pairs do
 * not show the tail.
 */
function shownIn(
  gate: TrafficGate,
  { verdict, limit, upper, paired }: GateResult,
): { readonly shows: number | null; readonly by: string } {
  if (verdict !== 'Pass') return { shows: null, by: '' };
  const isByPairs = paired?.verdict === 'Pass' && !('atMost' in gate && gate.atMost === Infinity);
  return {
    shows: shownBy(gate, { limit, upper: isByPairs ? paired.upper : upper }),
    by: isByPairs ? ' from pairs' : '',
  };
}

/**
 * The sentence about a step's promise, for example "at 1,020 requests a minute this step takes about 9 min; it can show
 * that the increase is at most p95 +15 % and errors +1 point; an increase of p95 +31 % and errors +2.4 points or more
 * would be found in 30 min".
 */
export function promiseWords({ requestsPerMinute, minutes, findsWithin, gates }: StepPromise): string {
  const digits = requestsPerMinute < 10 ? 2 : 3;
  const rate = `at ${plural(Number(requestsPerMinute.toPrecision(digits)), 'request')} a minute`;
  const time = timeWords(minutes, findsWithin);
  const shows = gates
    .filter(({ shows: most }) => most !== null)
    .map(({ gate, shows: most }) => `${gate.name} ${increaseWords(gate, most ?? 0)}`);
  const finds = gates
    .filter(({ finds: least }) => least !== null)
    .map(({ gate, finds: least }) => `${gate.name} ${increaseWords(gate, least ?? 0)}`);
  return [
    `${rate} ${time}`,
    ...showsWords(shows, gates, minutes[0] === null),
    ...(finds.length === 0
      ? []
      : [`an increase of ${listed(finds)} or more would be found in ${minutesWords(findsWithin)}`]),
  ].join('; ');
}

function timeWords([usual, unlucky]: StepPromise['minutes'], within: number): string {
  if (usual === null) return `this step will not be decided in ${minutesWords(within)}`;
  if (unlucky === null) return `this step takes about ${minutesWords(usual)} or longer`;
  return `this step takes about ${usual === unlucky ? '' : `${minuteCount(usual)} to `}${minutesWords(unlucky)}`;
}

function showsWords(shows: readonly string[], gates: readonly GatePromise[], isTooLate: boolean): readonly string[] {
  const compared = gates.filter(({ gate }) => isCompared(gate));
  if (compared.length === 0) return [];
  if (shows.length === 0) return ['it cannot show how the revisions compare'];
  return [`it can show that the increase is at most ${listed(shows)}${isTooLate ? ' by then' : ''}`];
}

function minutesWords(minutes: number): string {
  return `${minuteCount(minutes)} min`;
}

function minuteCount(minutes: number): string {
  return String(Math.round(minutes));
}

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1) ?? ''}`;
}
