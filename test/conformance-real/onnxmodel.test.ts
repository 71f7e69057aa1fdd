/** Runs the OnnxModel suite against the API server in KUBECONFIG. */
import { onnxModelSuite } from '../conformance/onnxmodel/suite.ts';
import { openApi } from '../support/kube-api.ts';

describe('OnnxModel on a real API server', () => {
  const kubeconfig = process.env['KUBECONFIG'];
  if (kubeconfig === undefined || kubeconfig === '') it.skip('needs KUBECONFIG');
  else onnxModelSuite(() => openApi(kubeconfig));
});
