/**
 * The sidecar: a small process next to the runtime that reports the state of the pod.
 *
 * Owns:  the wiring of its parts: the collector reads the runtime's counters, the golden run checks the model's answers
 *        to given inputs, and replayer and prober compare the revision of this pod with the serving revision. It is a
 *        separate process so that it can report on a runtime that hangs, was killed for its memory, or never started.
 * Ends:  after `stop` it serves reports while the runtime drains, and ends when the runtime has ended.
 */
import { Agent } from '../../lib/node-http.ts';
import type { Agreement, GoldenResult, Pairs, Report } from '../../api/report.ts';
import { present } from '../../api/present.ts';
import { systemClock } from '../../lib/clock.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import type { Logger } from '../../lib/log.ts';
import { PairCounts } from '../sampling/pair-counts.ts';
import { AccessFile } from '../config/access-file.ts';
import { Collector } from './collector.ts';
import { sidecarConfig, type SidecarConfig } from './config.ts';
import { readCounters } from './counters-client.ts';
import { goldenAsk } from './golden/golden-ask.ts';
import { PodGolden } from './golden/pod-golden.ts';
import { podProber } from './replay/pod-prober.ts';
import { podReplayer } from './replay/pod-replayer.ts';
import { takeBytes } from './samples-client.ts';
import { serveReports, type ReportServerDeps } from './server.ts';
import { Standing } from './standing.ts';

/** A runtime answers within 50 ms, even on a busy machine. The operator's own deadline for a report is also 2 s. */
const readDeadlineMs = 2_000;

/**
 * @param environment POD_IP: the address to listen on, which is also the runtime's address; ONNX_CONFIG_DIR: the folder
 * of the config
 * @returns 0, after `stop` and once the runtime has ended
 * @throws AppError BAD_CONFIG, PORT_TAKEN
 */
export async function runSidecar(
  stop: AbortSignal,
  logger: Logger,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<ExitCode> {
  const config = sidecarConfig(environment);
  const parts = partsOf(config, logger);
  const { collector, golden, replayer, prober } = parts;
  const endServing = await serveReports(servedOf(parts), config.addresses, config.reportPort);
  logger.info('sidecar started', { addresses: config.addresses, port: config.reportPort, revision: config.revision });
  // If one of these parts fails, keep serving reports without the results of that part.
  const running = [
    golden.run(stop).catch((error: unknown) => logger.error('golden run failed', { err: error })),
    replayer.run(stop).catch((error: unknown) => logger.error('replaying failed', { err: error })),
    prober.run(stop).catch((error: unknown) => logger.error('probing failed', { err: error })),
  ];
  stop.addEventListener('abort', parts.endAsking, { once: true });
  try {
    await collector.run(stop);
    await Promise.all(running);
  } finally {
    parts.endAsking();
    parts.close();
    await endServing();
  }
  logger.info('sidecar ended', { bootId: collector.report.bootId, seq: collector.report.seq });
  return exitCodes.ok;
}

type Parts = ReturnType<typeof partsOf>;

/** The parts of the sidecar, wired and not started. */
function partsOf(config: SidecarConfig, logger: Logger) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const questions = new Agent({ keepAlive: true, maxSockets: 1 });
  // A separate connection, so that megabytes of samples do not delay the reading of counters.
  const samples = new Agent({ keepAlive: true, maxSockets: 1 });
  const [self] = config.addresses;
  const source = { address: self, port: config.countersPort, deadlineMs: readDeadlineMs, agent };
  const standing = new Standing(systemClock);
  const door = new AccessFile(config.configDir, systemClock);
  const tokenFor = (address: string): string | undefined => (address === self ? door.token : standing.now.peersToken);
  const common = { clock: systemClock, random: Math.random };
  const collector = new Collector({
    ...common,
    revision: config.revision,
    read: () => readCounters(source, standing.now.sample, door.token),
  });
  const ready = (): boolean => collector.report.ready === true;
  const golden = new PodGolden({ ...config, ...common, self, ask: goldenAsk(questions, tokenFor), ready, logger });
  const pairs = new PairCounts((pair) => collector.paired(pair));
  const pod = { self, clock: systemClock, asked: () => standing.now, ready, pairs };
  const { replayer, close: endReplaying } = podReplayer({
    ...pod,
    token: () => door.token,
    compared: (comparison) => collector.compared(comparison),
  });
  const { prober, close: endProbing } = podProber({ ...pod, ...config, random: Math.random, tokenFor });
  return {
    collector,
    golden,
    pairs,
    replayer,
    prober,
    standing,
    door,
    takeSamples: (max: number) => takeBytes({ ...source, agent: samples, token: door.token }, max),
    endAsking: (): void => {
      endReplaying();
      endProbing();
    },
    close: (): void => [agent, questions, samples].forEach((one) => one.destroy()),
  };
}

/** The data behind the sidecar's routes. */
function servedOf({ collector, golden, pairs, replayer, standing, door, takeSamples }: Parts): ReportServerDeps {
  return {
    report: () =>
      withFindings(collector.report, { golden: golden.result(), agreement: replayer.agreement, pairs: pairs.pairs }),
    onAsked: (asked) => {
      standing.hear(asked);
      golden.offer(asked.peers);
    },
    door,
    blocks: (from, limitBytes) => collector.blocks(from, limitBytes),
    takeSamples,
    alive: () => collector.alive,
  };
}

type Findings = {
  readonly golden: GoldenResult | undefined;
  readonly agreement: Agreement | undefined;
  readonly pairs: Pairs | undefined;
};

function withFindings(report: Report, findings: Findings): Report {
  return { ...report, ...present(findings) };
}
