/**
 * Runs the upgrade suite against a real API server. No controller manager runs, so only the test creates pods.
 *
 * Needs KUBEBUILDER_ASSETS.
 */
import { readFileSync } from 'node:fs';
import { upgradeSuite } from '../conformance/upgrade/suite.ts';
import { RealApiServer } from '../support/real-api-server.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];

if (assets !== undefined) {
  upgradeSuite('a real API server', async () => {
    const server = await RealApiServer.start(assets);
    return { kubeconfig: readFileSync(server.kubeconfig, 'utf8'), close: () => server.stop() };
  });
}
