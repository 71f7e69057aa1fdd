/** Runs the conformance suite against local mode's API server. */
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { startApiServer } from '../../../local/api-server/server.ts';
import { installGatewayApi } from '../../../local/gateway/resources.ts';
import { kubeConformance } from './suite.ts';

kubeConformance('local mode', async () => {
  const server = await startApiServer({ clock: systemClock, logger: silentLogger });
  installGatewayApi(server.objects);
  return { kubeconfig: server.kubeconfig(), close: () => server.close() };
});
