/** Checks over a socket that the operator reads exactly what a sidecar serves. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createReportClient } from '../../operator/reports/report-client.ts';
import { ReportPuller } from '../../operator/reports/puller.ts';
import { withoutCounts } from '../../operator/reports/kept-report.ts';
import { closedDoor } from '../../runtime/config/access-file.ts';
import { firstReport } from '../../runtime/sidecar/collector.ts';
import { sidecarApp } from '../../runtime/sidecar/server.ts';
import type { Report } from '../../api/report.ts';
import { fullReport } from '../support/reports.ts';

describe('a report', () => {
  for (const [name, report] of [
    ['of a pod that serves', fullReport],
    ['of a runtime that has not come up', firstReport('6c9f01ab2d').report],
    [
      'that is worth compressing',
      { ...fullReport, node: { cores: 2, cpuFeatures: Array.from({ length: 300 }, (_v, i) => `feature-${i}`) } },
    ],
  ] as const satisfies readonly (readonly [string, Report])[]) {
    it(`${name} reaches the operator completely`, async () => {
      const server = createServer(sidecarApp({ report: () => report, alive: () => true, door: closedDoor }));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = createReportClient((server.address() as AddressInfo).port);
      const puller = new ReportPuller({ fetch: client.fetch, clock: systemClock, logger: silentLogger });
      try {
        const changed = new Promise<string>((resolve) => puller.onChange(resolve));
        puller.watch('ranking/ranker', [{ uid: 'uid-1', ip: '127.0.0.1', name: 'ranker-1' }], 'rollout');
        assert.equal(await changed, 'ranking/ranker');
        assert.deepEqual(puller.latest('uid-1')?.report, withoutCounts(report));
      } finally {
        puller.close();
        client.close();
        server.close();
        server.closeAllConnections();
      }
    });
  }
});
