/**
 * Writes of kubectl-onnx against a real kube-apiserver: the server in KUBECONFIG, or a server that is started from
 * KUBEBUILDER_ASSETS. Skipped when neither is set.
 */
import { describeCliWrites } from '../support/cli-writes-suite.ts';
import { RealApiServer } from '../support/real-api-server.ts';

const { KUBECONFIG: kubeconfig, KUBEBUILDER_ASSETS: assets } = process.env;

describeCliWrites('a real API server', async () => {
  if (kubeconfig !== undefined) return { kubeconfig, close: async () => {} };
  if (assets === undefined) return 'neither KUBECONFIG nor KUBEBUILDER_ASSETS is set';
  const server = await RealApiServer.start(assets);
  return { kubeconfig: server.kubeconfig, close: () => server.stop() };
});
