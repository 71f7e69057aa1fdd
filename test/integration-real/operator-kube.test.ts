/**
 * The controller's parts against a real kube-apiserver.
 *
 * Needs KUBECONFIG (any cluster; the test creates and removes its own namespace and CRD), or KUBEBUILDER_ASSETS (a
 * folder with the programs etcd and kube-apiserver, which the test starts and ends). Skipped when neither is set.
 */
import { describeKubeParts } from '../support/kube-parts-suite.ts';
import { clientOf } from '../support/probes.ts';
import { RealApiServer } from '../support/real-api-server.ts';

const { KUBECONFIG: kubeconfig, KUBEBUILDER_ASSETS: assets } = process.env;

describeKubeParts('a real API server', async () => {
  if (kubeconfig !== undefined) {
    const client = await clientOf(kubeconfig);
    return { client, close: () => client.close() };
  }
  if (assets === undefined) return 'neither KUBECONFIG nor KUBEBUILDER_ASSETS is set';
  const own = await RealApiServer.start(assets);
  const client = await clientOf(own.kubeconfig);
  return {
    client,
    close: async () => {
      await client.close();
      await own.stop();
    },
  };
});
