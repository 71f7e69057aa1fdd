/**
 * Runs the drift suite (another writer changes the operator's objects) with all its changes against the API server in
 * KUBECONFIG, then checks that the operator writes nothing for a minute.
 */
import { readFileSync } from 'node:fs';
import { driftSuite } from '../conformance/drift/suite.ts';

driftSuite(
  'a real API server',
  async () => {
    const path = process.env['KUBECONFIG'];
    if (path === undefined) throw new Error('KUBECONFIG is not a file: run this by npm run test:conformance');
    return { kubeconfig: readFileSync(path, 'utf8'), close: async () => {} };
  },
  { every: 1, quietMs: 150, gatewayApi: 'whole', quietAfterMs: 60_000 },
);
