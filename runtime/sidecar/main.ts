/**
 * The sidecar: a small process beside the runtime that says how the pod is doing.
 *
 * Owns:  wiring collector, golden run, replaying and server. It is a process of its own so that a report can be had of a runtime
 *        that hangs, is killed for its memory, or never came up.
 * Ends:  told to stop, it reports through the runtime's drain and ends when the runtime is gone.
 */
import { Agent } from 'node:http';
import type { GoldenResult, Report } from '../../api/report.ts';
import { systemClock } from '../../lib/clock.ts';
import { exitCodes, type ExitCode } from '../../lib/lifecycle.ts';
import type { Logger } from '../../lib/log.ts';
import type { Asked } from './asked.ts';
import { Collector } from './collector.ts';
import { sidecarConfig } from './config.ts';
import { readCounters } from './counters-client.ts';
import { goldenAsk } from './golden-ask.ts';
import { PodGolden } from './pod-golden.ts';
import { serveReports } from './server.ts';

/** Half a second is ten times what a busy machine takes; two are the operator's own patience. */
const readDeadlineMs = 2_000;

/**
 * @param environment POD_IP says where to listen and ask, ONNX_CONFIG_DIR where the revision's config is
 * @returns 0 once the runtime is gone after `stop`
 * @throws AppError BAD_CONFIG, PORT_TAKEN
 */
export async function runSidecar(stop: AbortSignal, logger: Logger, environment: Readonly<Record<string, string | undefined>> = process.env): Promise<ExitCode> {
  const config = sidecarConfig(environment);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const questions = new Agent({ keepAlive: true, maxSockets: 1 });
  const source = { address: config.addresses[0], port: config.countersPort, deadlineMs: readDeadlineMs, agent };
  const collector = new Collector({ revision: config.revision, read: () => readCounters(source), clock: systemClock, random: Math.random });
  const golden = new PodGolden({ ...config, self: config.addresses[0], ask: goldenAsk(questions), ready: () => collector.report.ready === true, clock: systemClock, random: Math.random, logger });
  const report = (): Report => withGolden(collector.report, golden.result());
  const onAsked = ({ peers }: Asked): void => golden.offer(peers);
  const endServing = await serveReports({ report, onAsked, blocks: (from, limitBytes) => collector.blocks(from, limitBytes), alive: () => collector.alive }, config.addresses, config.reportPort);
  logger.info('sidecar started', { addresses: config.addresses, port: config.reportPort, revision: config.revision });
  // A report without it is better than no report.
  const running = golden.run(stop).catch((error: unknown) => logger.error('golden run failed', { err: error }));
  try {
    await collector.run(stop);
    await running;
  } finally {
    agent.destroy();
    questions.destroy();
    await endServing();
  }
  logger.info('sidecar ended', { bootId: collector.report.bootId, seq: collector.report.seq });
  return exitCodes.ok;
}

function withGolden(report: Report, golden: GoldenResult | undefined): Report {
  return golden === undefined ? report : { ...report, golden };
}
