/** Runs the controller suite against local mode's API server. A real API server must pass the same suite. */
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { startApiServer } from '../../local/api-server/server.ts';
import { openAccess } from '../../kube/client/access.ts';
import { HttpKubeClient } from '../../kube/client/http-client.ts';
import { describeKubeParts } from '../support/kube-parts-suite.ts';

describeKubeParts("local mode's API server", async () => {
  const server = await startApiServer({ clock: systemClock, logger: silentLogger });
  const access = openAccess(server.url, { authorization: `Bearer ${server.token}` }, { ca: server.certificate });
  const client = new HttpKubeClient({ access, clock: systemClock, registry: createRegistry(), name: 'kube-test' });
  return {
    client,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
});
