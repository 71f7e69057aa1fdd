/**
 * `kubectl-onnx replay`: judges a recorded canary offline, with the code that judges live ones.
 *
 * Owns:  the flags, and the order: manifest, trace, looks, outcome.
 * Ends:  0 the candidate passes, 5 it fails, 6 the trace leaves it undecided, 2 wrong flags, manifest or trace.
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

Judges a recorded or made-up canary by the gates of an OnnxModel, as the operator would have judged it live: a look
at every report, the first decision stands. Every verdict is printed with its time, request counts and bounds, when
it changes and once a minute. The window begins with the candidate's first request; stable's requests before it
tell how noisy stable is. A trace is judged as one window: cut it where the candidate's share of traffic changes.

TRACE is a file of JSON lines in order of time ("-" is standard input):
  {"t": 12.5, "revision": "candidate", "latencyMs": 23.1, "ok": true, "agree": true}
  t           seconds, of any epoch
  revision    "stable" or "candidate"
  latencyMs   of requests that were answered; may be left out where ok is false
  ok          whether the request was answered
  agree       optional: whether the answer agreed with stable's
A line may also be of a pair, the same request answered by both revisions; it is no request of anybody's:
  {"t": 13.0, "ratio": 1.08, "source": "Probe"}
  ratio       the candidate's service time over stable's
  source      "Probe", "Replay" or "Shadow"
With a shadow step as the last that is judged, pairs and agreement are all that is looked at.

How long the step may last decides what a Pass has to show, and when: by default its own limits, and where the traffic
is too low for them, less after 11/30 of that time and least after 22/30 (spec.rollout.gates.confidence, minDetectable).
From 28/30 on gates that are not written let a Pass show still less, of a candidate whose estimate is good.

  --model FILE       manifest of the OnnxModel; what its spec.rollout leaves out has the defaults
  --name NAME        which OnnxModel, when the manifest has several
  --every DURATION   time between looks (default: 5s in the first hour, then and once decided 1m,
                     5m after four hours)
  --settle DURATION  leave out so much after the candidate's first request, for caches to fill (default: 0s)
  --max-duration DURATION
                     how long the step may last (default: the maxDuration of the manifest's last analyze or shadow
                     step, where it has none 30m)
  --nodes KIND       Shared: the pods of both ran on the same nodes. Unlike (the default): one may have been on a slower
                     node, and one pod each cannot tell, so the bounds of latencies are wider
  --all              print every look
  --json             one JSON document: {"model", "require", "maxDuration", "plan", "verdicts": [...], "outcome"};
                     a "toShow" or "atMost" of null: a Pass of that gate need show nothing
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

/** @param write gets the output in pieces. @throws AppError for what the user has to mend */
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
    throw new AppError('BAD_FLAG', { flag: 'TRACE', problem: `needs one file, got ${positionals.length}` });
  if (values.model === undefined)
    throw new AppError('BAD_FLAG', { flag: '--model', problem: 'is missing: the manifest whose gates judge' });
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
    throw new AppError('BAD_FLAG', { flag: '--nodes', problem: `'${nodes}' is neither Shared nor Unlike` });
  const everySeconds = every === undefined ? undefined : secondsOf('--every', every, 1);
  return { all, nodes, settleSeconds: secondsOf('--settle', settle, 0), ...present({ everySeconds }) };
}

function secondsOf(flag: string, text: string, least: number): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms < least * 1000)
    throw new AppError('BAD_FLAG', { flag, problem: `'${text}' is not a duration of at least ${least}s` });
  return ms / 1000;
}
