/**
 * Writes of kubectl-onnx against local mode's API server. The same tests run against kube-apiserver in
 * test/integration-real/cli-writes.test.ts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer } from '../../local/api-server/server.ts';
import { describeCliWrites } from '../support/cli-writes-suite.ts';

describeCliWrites("local mode's API server", async () => {
  const server = await startApiServer({ clock: systemClock, logger: silentLogger });
  const folder = mkdtempSync(join(tmpdir(), 'cli-writes-'));
  const kubeconfig = join(folder, 'config');
  writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
  return {
    kubeconfig,
    close: async () => {
      await server.close();
      rmSync(folder, { recursive: true });
    },
  };
});
