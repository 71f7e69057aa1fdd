/** Reading the operator's instructions, such as a rate of samples, from its request for a pod's report. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { askedIn, type Asked } from '../../../../runtime/sidecar/asked.ts';

// prettier-ignore
const rows: readonly (readonly [string, string, Asked | RegExp])[] = [
  ['has no instructions for an empty query', '', { peers: [], sample: 0 }],
  ['accepts all instructions together', 'blocksFrom=85000000&peers=10.0.0.1,fd00::1&sample=0.05&agreement=Cosine:0.98',
    { blocksFrom: 85_000_000, peers: ['10.0.0.1', 'fd00::1'], sample: 0.05,
    agreement: { metric: 'Cosine', limit: 0.98 } }],
  ['accepts a share in scientific notation', 'sample=1e-7', { peers: [], sample: 1e-7 }],
  ['refuses infinite numbers', 'agreement=Cosine:1e999', /agreement is '1e999', not a number/],
  ['accepts the rate of probes and the source of pairs', 'probes=30/3&pairs=Shadow',
    { peers: [], sample: 0, pairs: 'Shadow', probes: { perMinute: 30, pods: 3 } }],
  ['refuses more than 60 probes a minute', 'probes=61/1',
    /probes is '61\/1', not PER_MINUTE\/PODS with 1 to 60 a minute/],
  ['refuses probes for 0 pods', 'probes=6/0', /probes is '6\/0'/],
  ['refuses probes without a number of pods', 'probes=6', /probes is '6'/],
  ['refuses pairs of another source', 'pairs=Probe', /pairs is 'Probe', not Replay or Shadow/],
  ['ignores unknown parameters', 'colour=blue', { peers: [], sample: 0 }],
  ['refuses a block index below 0', 'blocksFrom=-1', /blocksFrom is '-1', not a number/],
  ['refuses a share above 1', 'sample=1.5', /sample is '1.5', not a number from 0 to 1/],
  ['refuses host names as peers', 'peers=10.0.0.1,stable.example',
    /peers has 'stable.example', which is not an IP address/],
  ['refuses more than 16 peers', `peers=${Array.from({ length: 17 },
      (_, i) => `10.0.0.${i}`).join(',')}`, /17 addresses; the limit is 16/],
  ['refuses an unknown metric', 'agreement=Vibes:0.9', /agreement is 'Vibes:0.9', not METRIC:MIN/],
  ['refuses a rule without a limit', 'agreement=Cosine', /agreement is '', not a number/],
];

describe('askedIn', () => {
  for (const [name, query, want] of rows) {
    it(name, () => {
      const read = (): Asked => askedIn(new URLSearchParams(query));
      if (want instanceof RegExp)
        assert.throws(
          read,
          (error) => error instanceof AppError && error.code === 'REQUEST_INVALID' && want.test(error.message),
        );
      else assert.deepEqual(read(), want);
    });
  }
});
