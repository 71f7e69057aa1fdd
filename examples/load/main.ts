/**
 * `npm run load -- URL`: sends requests to a served model, so that a canary has traffic for its analysis.
 * Owns: flags, bounds and the report. question.ts makes the request, and ../demo/traffic.ts sends it.
 * Limits: an hour, 1,000,000 requests, 64 clients.
 * Ends: 0 when every request was answered, 5 when one failed, 2 for a wrong command line, 4 when the model cannot be
 * reached, 130 when interrupted. After the first request, a report is printed in every case.
 */
import '../../scripts/node-guard.cjs';
import { AppError } from '../../api/errors.ts';
import { plural } from '../../api/text.ts';
import { formatDurationMs, parseDurationMs } from '../../api/units.ts';
import { quantile } from '../../bench/support/load.ts';
import { systemClock } from '../../lib/clock.ts';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { parseFlags } from '../../lib/flags.ts';
import { print } from '../client/command-line.ts';
import { Traffic } from '../demo/traffic.ts';
import { questionFor } from './question.ts';

const help = `Usage: npm run load -- URL [options]

Sends the same request again and again to a served model: a text to /v1/embeddings where the model has that
task, else a tensor of its input shapes by the Open Inference Protocol. Ends by itself, and reports how many
requests were answered and how fast.

  URL              where the model is served: status.address.url of the OnnxModel, or what "npm run serve" printed.
                   For a model in a cluster: "kubectl port-forward service/NAME 8080", then http://localhost:8080
  --model NAME     its name (default: the first that the server lists)
  --text TEXT      the text for an encoder (default: "dialog")
  --for DURATION   how long, at most an hour (default: 5m)
  --requests N     how many, at most 1,000,000 (default: 50000)
  --clients N      requests under way at a time, 1 to 64 (default: 2)
  --rest DURATION  between two requests of a client (default: 15ms, so that a laptop can serve and judge as well)
  --help           prints this

Exit codes: 0 all were answered, 2 wrong command line, 4 the model cannot be reached, 5 a request failed, 130 \
interrupted
`;

const options = {
  model: { type: 'string' },
  text: { type: 'string', default: 'dialog' },
  for: { type: 'string', default: '5m' },
  requests: { type: 'string', default: '50000' },
  clients: { type: 'string', default: '2' },
  rest: { type: 'string', default: '15ms' },
  help: { type: 'boolean', default: false },
} as const;

const hourMs = 3_600_000;
const reportEveryMs = 10_000;

await run(createLogger('load'), main);

async function main(stop: AbortSignal): Promise<ExitCode> {
  const { values, positionals } = parseFlags('load', process.argv.slice(2), options);
  if (values.help) return print(help);
  const plan = {
    forMs: durationOf('--for', values.for, 1, hourMs),
    most: countOf('--requests', values.requests, 1_000_000),
    lanes: countOf('--clients', values.clients, 64),
    restMs: durationOf('--rest', values.rest, 0, hourMs),
  };
  const url = urlOf(positionals);
  const question = await questionFor(url, { model: values.model, text: values.text }, stop);
  print(
    `${url.href}: ${question.name} by ${question.path}, ${plural(plan.lanes, 'client')}, at most ` +
      `${plural(plan.most, 'request')} in ${formatDurationMs(plan.forMs)}\n`,
  );
  const clock = systemClock;
  const beganMs = clock.monotonic();
  const traffic = new Traffic({
    lanes: plan.lanes,
    most: plan.most,
    rest: () => clock.sleep(plan.restMs, stop),
    monotonic: () => clock.monotonic(),
    send: question.send,
  });
  await follow(traffic, plan.forMs, stop);
  const { answered, failed, failures } = await traffic.stop();
  print(`${report(traffic, clock.monotonic() - beganMs)}\n${failures.map((why) => `  failed: ${why}\n`).join('')}`);
  if (stop.aborted) return exitCodes.interrupted;
  if (answered === 0) return exitCodes.unavailable;
  return failed > 0 ? exitCodes.judgedBad : exitCodes.ok;
}

/**
 * Waits until the time is over, until all requests were sent, or until the user interrupts. Prints a line every ten
 * seconds.
 */
async function follow(traffic: Traffic, forMs: number, stop: AbortSignal): Promise<void> {
  const over = new AbortController();
  void traffic.ended().then(() => over.abort());
  const either = AbortSignal.any([stop, over.signal]);
  const beganMs = systemClock.monotonic();
  for (;;) {
    const leftMs = forMs - (systemClock.monotonic() - beganMs);
    await systemClock.sleep(Math.min(reportEveryMs, leftMs), either);
    if (either.aborted || leftMs <= reportEveryMs) return;
    print(`  ${report(traffic, systemClock.monotonic() - beganMs)}\n`);
  }
}

function report({ tally, latenciesMs }: Traffic, ms: number): string {
  const shown = (q: number): string => (latenciesMs.length === 0 ? '-' : `${quantile(latenciesMs, q).toFixed(1)} ms`);
  return (
    `${plural(tally.answered + tally.failed, 'request')} sent in ${Math.round(ms / 1000)} s: ` +
    `${tally.answered.toLocaleString('en-US')} answered, ${tally.failed.toLocaleString('en-US')} failed; p50 ` +
    `${shown(0.5)}, p95 ${shown(0.95)}`
  );
}

/** The URL in the arguments. A host and port without a scheme means http. */
function urlOf([text, ...more]: readonly string[]): URL {
  const wrong = (problem: string): AppError => new AppError('BAD_FLAG', { flag: 'URL', problem });
  if (text === undefined || text === '')
    throw wrong(
      'is missing: status.address.url of the OnnxModel, "kubectl get onnxmodel NAME -o jsonpath={.status.address.url}"',
    );
  if (more.length > 0) throw wrong(`needs one URL, got ${more.length + 1} arguments`);
  const full = text.includes('://') ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw wrong(`'${text}' is not an http or https URL`);
  return url;
}

function durationOf(flag: string, text: string, least: number, most: number): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < least || ms > most)
    throw new AppError('BAD_FLAG', {
      flag,
      problem: `'${text}' is not a duration of at most ${formatDurationMs(most)}, such as 90s or 5m`,
    });
  return ms;
}

function countOf(flag: string, text: string, most: number): number {
  const count = /^[0-9]{1,7}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > most)
    throw new AppError('BAD_FLAG', {
      flag,
      problem: `'${text}' is not a number from 1 to ${most.toLocaleString('en-US')}`,
    });
  return count;
}
