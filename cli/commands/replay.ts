/**
 * `kubectl-onnx replay`: judges a recorded canary (a rollout in which a candidate got a part of the traffic) offline,
 * with the code that judges live canaries.
 *
 * Owns: the flags and the help text.
 * Exits with 0 when the candidate passes, 5 when it fails, 6 when undecided, 2 for a wrong flag, manifest or trace.
 */
import { parseFlags } from '../../lib/flags.ts';
import { AppError } from '../../api/errors.ts';
import { present } from '../../api/present.ts';
import { blockSeconds } from '../../api/report.ts';
import { parseDurationMs } from '../../api/units.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import { readJudgedModel } from '../offline/manifest.ts';
import { RecordedCanary, type LookPlan, type RecordedOutcome } from '../offline/recorded-canary.ts';
import { jsonOutput, tableOutput } from '../offline/replay-output.ts';
import { readTrace } from '../offline/trace.ts';

export const replayHelp = `Usage: kubectl-onnx replay TRACE --model MANIFEST [options]

Judges a recorded or synthetic canary by the gates of an OnnxModel, as the operator would have judged it live: it is
judged at intervals, and the first decision is final. Verdicts are printed with time, request counts and bounds when
they change, and once a minute. The window begins with the candidate's first request; the noise of stable is estimated
from stable's requests before the window. A trace is judged as one window, so cut it where the candidate's share of the
traffic changes.

TRACE is a file of JSON lines, sorted by time ("-" is standard input):
  {"t": 12.5, "revision": "candidate", "latencyMs": 23.1, "ok": true, "agree": true}
  t           time in seconds since any fixed point in time
  revision    "stable" or "candidate"
  latencyMs   latency in milliseconds; optional when ok is false
  ok          whether the request was answered
  agree       optional: whether the answer agreed with stable's
A line may also be a pair: the same request, answered by both revisions. Pairs do not count as requests:
  {"t": 13.0, "ratio": 1.08, "source": "Probe"}
  ratio       the candidate's service time divided by stable's
  source      "Probe", "Replay" or "Shadow"
If the last analyze or shadow step of the manifest is a shadow step, only pairs and agreement are judged.

The maximum duration of the step decides what a Pass must show, and when. At first, the upper bound of each gate must be
within its limit. With low traffic and spec.rollout.gates.confidence Standard:
  - after 11/30 of the duration, a larger upper bound is enough;
  - after 22/30, an upper bound of minDetectable is enough;
  - after 28/30, a still larger upper bound is enough for default gates, if the candidate's estimate is good.

  --model FILE       manifest of the OnnxModel; absent fields of spec.rollout have their defaults
  --name NAME        name of the OnnxModel; required when the manifest has several
  --every DURATION   time between looks (default: 5s in the first hour; 1m after that or after the decision;
                     5m after four hours)
  --settle DURATION  ignore this time after the candidate's first request, while caches fill (default: 0s)
  --max-duration DURATION
                     maximum duration of the step (default: maxDuration of the manifest's last analyze or shadow
                     step, or 30m)
  --nodes KIND       Shared: the pods of both revisions ran on the same nodes. Unlike (default): one revision may have
                     run on a slower node, so the bounds of latencies are wider
  --all              print the verdicts of every look
  --json             one JSON document: {"model", "require", "maxDuration", "plan", "verdicts": [...], "outcome"};
                     "toShow" or "atMost" is null when a Pass of that gate has no required bound
  --help

Exit codes: 0 the candidate passes, 5 it fails, 6 undecided at the end of the trace, 2 wrong flags or input.
`;

const options = {
  model: { type: 'string' },
  name: { type: 'string' },
  every: { type: 'string' },
  settle: { type: 'string', default: '0s' },
  'max-duration': { type: 'string' },
  nodes: { type: 'string', default: 'Unlike' },
  all: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/**
 * Runs the command.
 * @param write is called with parts of the output
 * @throws AppError when a flag, the manifest or the trace is wrong
 */
export async function replay(argv: readonly string[], write: (text: string) => void): Promise<ExitCode> {
  const flags = parse(argv);
  if (flags === 'help') {
    write(replayHelp);
    return exitCodes.ok;
  }
  const model = { ...readJudgedModel(flags.model, flags.name), ...present({ maxBlocks: flags.maxBlocks }) };
  const output = flags.json ? jsonOutput() : tableOutput();
  const canary = new RecordedCanary(model, flags.looks);
  write(output.head(model));
  for await (const requests of readTrace(flags.trace)) {
    for (const request of requests) {
      const looks = canary.add(request);
      if (looks.length > 0) write(output.looks(looks));
    }
  }
  const { looks, outcome } = canary.end();
  write(output.looks(looks) + output.tail(outcome));
  return codeOf(outcome);
}

function codeOf({ verdict }: RecordedOutcome): ExitCode {
  switch (verdict) {
    case 'Pass':
      return exitCodes.ok;
    case 'Fail':
      return exitCodes.judgedBad;
    case 'Undecided':
      return exitCodes.undecided;
  }
}

function parse(argv: readonly string[]) {
  const { values, positionals } = parseFlags('replay', argv, options);
  if (values.help) return 'help';
  const [trace, ...more] = positionals;
  if (trace === undefined || more.length > 0)
    throw new AppError('BAD_FLAG', { flag: 'TRACE', problem: `give one file (got ${positionals.length} arguments)` });
  if (values.model === undefined)
    throw new AppError('BAD_FLAG', { flag: '--model', problem: 'missing; give the manifest with the gates' });
  const longest = values['max-duration'];
  const maxBlocks = longest === undefined ? undefined : secondsOf('--max-duration', longest, 1) / blockSeconds;
  return { trace, model: values.model, name: values.name, looks: looksOf(values), maxBlocks, json: values.json };
}

type LookFlags = {
  readonly all: boolean;
  readonly every?: string | undefined;
  readonly settle: string;
  readonly nodes: string;
};

function looksOf({ all, every, settle, nodes }: LookFlags): LookPlan {
  if (nodes !== 'Shared' && nodes !== 'Unlike')
    throw new AppError('BAD_FLAG', { flag: '--nodes', problem: `'${nodes}' is unknown; available: Shared, Unlike` });
  const everySeconds = every === undefined ? undefined : secondsOf('--every', every, 1);
  return { all, nodes, settleSeconds: secondsOf('--settle', settle, 0), ...present({ everySeconds }) };
}

function secondsOf(flag: string, text: string, least: number): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < least * 1000)
    throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a duration of at least ${least}s` });
  return ms / 1000;
}
