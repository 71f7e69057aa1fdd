/**
 * The part of the operator that requests the pods' reports (ReportPuller), on a clock that the test advances, and a
 * record of its requests.
 */
import { silentLogger } from '../../lib/log.ts';
import type { FetchReport, Pulled, ReportAsk } from '../../operator/reports/report-client.ts';
import { ReportPuller } from '../../operator/reports/puller.ts';
import { HandClock } from './hand-clock.ts';
import { fullReport } from './reports.ts';

export const model = 'ranking/ranker';
export const pod = { uid: 'uid-1', ip: '10.0.0.1', name: 'ranker-1' };

export type World = {
  clock: HandClock;
  puller: ReportPuller;
  asked: string[];
  asks: ReportAsk[];
  answer: (next: Pulled | FetchReport) => void;
  changes: string[];
};

export function pullerWorld(): World {
  const clock = new HandClock();
  const asked: string[] = [];
  const changes: string[] = [];
  let answer: Pulled | FetchReport = { kind: 'report', report: fullReport };
  const asks: ReportAsk[] = [];
  const fetch: FetchReport = (ip, signal, ask) => {
    asked.push(ip);
    asks.push(ask ?? {});
    return typeof answer === 'function' ? answer(ip, signal) : Promise.resolve(answer);
  };
  const puller = new ReportPuller({ fetch, clock, logger: silentLogger });
  puller.onChange((key) => changes.push(key));
  return {
    clock,
    puller,
    asked,
    asks,
    answer: (next) => {
      answer = next;
    },
    changes,
  };
}

/** A fetch without an answer: it ends only when the request is aborted. */
export const never: FetchReport = (_ip, signal) =>
  new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve({ kind: 'nothing', reason: (signal.reason as Error).message })),
  );
