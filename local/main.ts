/**
 * `npm run local`: local mode in the foreground. Local mode is a Kubernetes cluster in one process on this machine.
 * Owns: flags, starting the cluster, one line when it is ready, waiting for a signal, and an orderly end.
 * Ends: 0 after SIGTERM or SIGINT. An error that the user can fix is reported in one sentence, with an exit code
 * (lib/lifecycle.ts).
 */
import '../scripts/node-guard.cjs';
import { present } from '../api/present.ts';
import { aborted } from '../lib/abort.ts';
import { exitCodes, run, type ExitCode } from '../lib/lifecycle.ts';
import { createLogger, type Logger } from '../lib/log.ts';
import { help, readLocalConfig, type LocalConfig } from './config.ts';

await run(createLogger('local'), (stop) => main(stop));

async function main(stop: AbortSignal): Promise<ExitCode> {
  const config = readLocalConfig(process.argv.slice(2));
  if (config === 'help') {
    process.stdout.write(help);
    return exitCodes.ok;
  }
  return serve(config, createLogger('local', config.logLevel), stop);
}

async function serve(config: LocalConfig, logger: Logger, stop: AbortSignal): Promise<ExitCode> {
  // Import cluster.ts only now, so that a wrong flag or --help is answered without loading everything.
  const { startLocalCluster } = await import('./cluster.ts');
  const { port, volumes, machineEnv, logLevel } = config;
  const cluster = await startLocalCluster({
    ...present({
      kubeconfig: config.kubeconfig,
      dataDir: config.dataDir,
      operator: config.operator ? { extraArgs: ['--log-level', logLevel] } : undefined,
    }),
    port,
    volumes,
    machineEnv,
    logger,
  });
  process.stdout.write(`local mode is ready: export KUBECONFIG=${cluster.kubeconfig}\n`);
  await aborted(stop);
  logger.info('ending');
  await cluster.close();
  return exitCodes.ok;
}
