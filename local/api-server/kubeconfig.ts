/**
 * The kubeconfig for this API server: its address, the certificate to trust, the token.
 * Pure.
 */
import { stringify } from 'yaml';

const name = 'onnx-local';

/** @param certificate as PEM */
export function kubeconfigFor({
  server,
  token,
  certificate,
}: {
  readonly server: string;
  readonly token: string;
  readonly certificate: string;
}): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(certificate).toString('base64') } },
    ],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    users: [{ name, user: { token } }],
  });
}
