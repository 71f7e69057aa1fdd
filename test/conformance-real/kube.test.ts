/** Runs the conformance suite against the API server in KUBECONFIG. */
import { readFileSync } from 'node:fs';
import { kubeConformance } from '../conformance/kube/suite.ts';

kubeConformance('a real cluster', async () => {
  const path = process.env['KUBECONFIG'];
  if (path === undefined) throw new Error('KUBECONFIG is not a file: run this by npm run test:conformance');
  return { kubeconfig: readFileSync(path, 'utf8'), close: async () => {} };
});
