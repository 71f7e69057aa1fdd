/**
 * Runs a part of the drift suite (another writer changes the operator's objects) against local mode's API server: all
 * additions of fields, but only some of the changes and removals of the operator's own fields.
 */
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer } from '../../local/api-server/server.ts';
import { driftSuite } from './drift/suite.ts';

driftSuite(
  "local mode's API server",
  async () => {
    const server = await startApiServer({ clock: systemClock, logger: silentLogger });
    return { kubeconfig: server.kubeconfig(), close: () => server.close() };
  },
  { every: 30, quietMs: 60, gatewayApi: 'local' },
);
