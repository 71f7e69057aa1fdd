/** Runs the OnnxModel suite against local mode's API server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer } from '../../local/api-server/server.ts';
import { openApi } from '../support/kube-api.ts';
import { onnxModelSuite } from './onnxmodel/suite.ts';

describe("OnnxModel on local mode's API server", () => {
  onnxModelSuite(async () => {
    const server = await startApiServer({ clock: systemClock, logger: silentLogger });
    const folder = mkdtempSync(join(tmpdir(), 'onnxmodel-'));
    const kubeconfig = join(folder, 'config');
    writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
    const { api, close } = await openApi(kubeconfig);
    return {
      api,
      close: async () => {
        await close();
        await server.close();
        rmSync(folder, { recursive: true });
      },
    };
  });
});
