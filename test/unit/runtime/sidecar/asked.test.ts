/** What a request for a report may ask for beside it. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { askedIn, type Asked } from '../../../../runtime/sidecar/asked.ts';

// prettier-ignore
const rows: readonly (readonly [string, string, Asked | RegExp])[] = [
  ['asks for nothing beside the report when nothing is said', '', { peers: [], sample: 0 }],
  ['takes everything together', 'blocksFrom=85000000&peers=10.0.0.1,fd00::1&sample=0.05&agreement=Cosine:0.98',
    { blocksFrom: 85_000_000, peers: ['10.0.0.1', 'fd00::1'], sample: 0.05,
    agreement: { metric: 'Cosine', limit: 0.98 } }],
  ['takes a share as a computer writes it', 'sample=1e-7', { peers: [], sample: 1e-7 }],
  ['refuses numbers without end', 'agreement=Cosine:1e999', /agreement is '1e999', not a number/],
  ['takes probes and what replays are paired as', 'probes=30/3&pairs=Shadow',
    { peers: [], sample: 0, pairs: 'Shadow', probes: { perMinute: 30, pods: 3 } }],
  ['refuses more probes than a trickle', 'probes=61/1',
    /probes is '61\/1', not PER_MINUTE\/PODS with 1 to 60 a minute/],
  ['refuses probes of no pod', 'probes=6/0', /probes is '6\/0'/],
  ['refuses probes without pods', 'probes=6', /probes is '6'/],
  ['refuses pairs of a source that is not its to name', 'pairs=Probe', /pairs is 'Probe', not Replay or Shadow/],
  ['lets be what it does not know', 'colour=blue', { peers: [], sample: 0 }],
  ['refuses a block that is no number', 'blocksFrom=-1', /blocksFrom is '-1', not a number/],
  ['refuses a share above all', 'sample=1.5', /sample is '1.5', not a number of 0 to 1/],
  ['refuses peers by name', 'peers=10.0.0.1,stable.example', /peers has 'stable.example', which is not an IP address/],
  ['refuses more peers than it would ask', `peers=${Array.from({ length: 17 },
      (_, i) => `10.0.0.${i}`).join(',')}`, /17 addresses, at most 16/],
  ['refuses a metric that it does not know', 'agreement=Vibes:0.9', /agreement is 'Vibes:0.9', not METRIC:MIN/],
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
