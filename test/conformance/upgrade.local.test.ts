/** Runs the upgrade suite against local mode's API server. */
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer } from '../../local/api-server/server.ts';
import { upgradeSuite } from './upgrade/suite.ts';

upgradeSuite("local mode's API server", async () => {
  const server = await startApiServer({ clock: systemClock, logger: silentLogger });
  return { kubeconfig: server.kubeconfig(), close: () => server.close() };
});
