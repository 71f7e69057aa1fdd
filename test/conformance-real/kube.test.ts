/** The API server that KUBECONFIG names, held to what the operator relies on. */
import { readFileSync } from 'node:fs';
import { kubeConformance } from '../conformance/kube/suite.ts';

kubeConformance('a real cluster', async () => {
  const path = process.env['KUBECONFIG'];
  if (path === undefined) throw new Error('KUBECONFIG names no file: run this by npm run test:conformance');
  return { kubeconfig: readFileSync(path, 'utf8'), close: async () => {} };
});
