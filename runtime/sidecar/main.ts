/**
 * The sidecar: a small process beside the runtime that says how the pod is doing.
 *
 * Owns:  wiring collector, golden run, replaying, probing and server. It is a process of its own so that a report can
 *        be had of a runtime that hangs, is killed for its memory, or never came up.
 * Ends:  told to stop, it reports through the runtime's drain and ends when the runtime is gone.
 */
import { Agent } from 'node:http';
import type { Agreement, GoldenResult, Pairs, Report } from '../../api/report.ts';
import { present } from '../../api/present.ts';
import { systemClock } from '../../lib/clock.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import type { Logger } from '../../lib/log.ts';
import { PairCounts } from '../agreement/pair-counts.ts';
import { AccessFile } from '../config/access-file.ts';
import type { Asked } from './asked.ts';
import { Collector } from './collector.ts';
import { sidecarConfig } from './config.ts';
import { readCounters } from './counters-client.ts';
import { goldenAsk } from './golden-ask.ts';
import { PodGolden } from './pod-golden.ts';
import { podProber } from './pod-prober.ts';
import { podReplayer } from './pod-replayer.ts';
import { takeBytes } from './samples-client.ts';
import { serveReports } from './server.ts';
import { Standing } from './standing.ts';

/** Half a second is ten times what a busy machine takes; two are the operator's own patience. */
const readDeadlineMs = 2_000;

/**
 * @param environment POD_IP says where to listen and ask, ONNX_CONFIG_DIR where the revision's config is
 * @returns 0 once the runtime is gone after `stop`
 * @throws AppError BAD_CONFIG, PORT_TAKEN
 */
export async function runSidecar(
  stop: AbortSignal,
  logger: Logger,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<ExitCode> {
  const config = sidecarConfig(environment);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const questions = new Agent({ keepAlive: true, maxSockets: 1 });
  // Of its own: megabytes of samples must not make a reading late.
  const samples = new Agent({ keepAlive: true, maxSockets: 1 });
  const source = { address: config.addresses[0], port: config.countersPort, deadlineMs: readDeadlineMs, agent };
  const standing = new Standing(systemClock);
  const door = new AccessFile(config.configDir, systemClock);
  const tokenFor = (address: string): string | undefined =>
    address === config.addresses[0] ? door.token : standing.now.peersToken;
  const collector = new Collector({
    revision: config.revision,
    read: () => readCounters(source, standing.now.sample, door.token),
    clock: systemClock,
    random: Math.random,
  });
  const ready = (): boolean => collector.report.ready === true;
  const golden = new PodGolden({
    ...config,
    self: config.addresses[0],
    ask: goldenAsk(questions, tokenFor),
    ready,
    clock: systemClock,
    random: Math.random,
    logger,
  });
  const pairs = new PairCounts((pair) => collector.paired(pair));
  const pod = { self: config.addresses[0], clock: systemClock, asked: () => standing.now, ready, pairs };
  const { replayer, close: endReplaying } = podReplayer({
    ...pod,
    token: () => door.token,
    compared: (comparison) => collector.compared(comparison),
  });
  const { prober, close: endProbing } = podProber({ ...pod, ...config, random: Math.random, tokenFor });
  const onAsked = (asked: Asked): void => {
    standing.hear(asked);
    golden.offer(asked.peers);
  };
  const endServing = await serveReports(
    {
      report: () =>
        withFindings(collector.report, { golden: golden.result(), agreement: replayer.agreement, pairs: pairs.pairs }),
      onAsked,
      door,
      blocks: (from, limitBytes) => collector.blocks(from, limitBytes),
      takeSamples: (max) => takeBytes({ ...source, agent: samples, token: door.token }, max),
      alive: () => collector.alive,
    },
    config.addresses,
    config.reportPort,
  );
  logger.info('sidecar started', { addresses: config.addresses, port: config.reportPort, revision: config.revision });
  // A report without it is better than no report.
  const running = [
    golden.run(stop).catch((error: unknown) => logger.error('golden run failed', { err: error })),
    replayer.run(stop).catch((error: unknown) => logger.error('replaying failed', { err: error })),
    prober.run(stop).catch((error: unknown) => logger.error('probing failed', { err: error })),
  ];
  const endAsking = (): void => {
    endReplaying();
    endProbing();
  };
  stop.addEventListener('abort', endAsking, { once: true });
  try {
    await collector.run(stop);
    await Promise.all(running);
  } finally {
    endAsking();
    agent.destroy();
    questions.destroy();
    samples.destroy();
    await endServing();
  }
  logger.info('sidecar ended', { bootId: collector.report.bootId, seq: collector.report.seq });
  return exitCodes.ok;
}

type Findings = {
  readonly golden: GoldenResult | undefined;
  readonly agreement: Agreement | undefined;
  readonly pairs: Pairs | undefined;
};

function withFindings(report: Report, findings: Findings): Report {
  return { ...report, ...present(findings) };
}
