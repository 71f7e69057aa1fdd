/** What `npm run test:chart` runs: the chart under the real Helm, and its roles on a real API server. */
'use strict';
require('../../scripts/node-guard.cjs');
module.exports = {
  spec: ['test/chart/**/*.test.ts'],
  reporter: './test/support/reporter.cjs',
  timeout: 180_000,
  forbidOnly: Boolean(process.env.CI),
};
