import assert from 'node:assert/strict';
import { noRequests } from '../../../../operator/rollout/no-requests.ts';
import type { GateReading } from '../../../../operator/rollout/state.ts';

const reading: GateReading = { window: 1, step: 'Waiting', message: 'm', absolute: 'None', silent: [], idle: true };

describe('a candidate without requests', () => {
  const rows: readonly (readonly [
    sentence: string,
    reading: GateReading | undefined,
    waitedMs: number,
    says: RegExp | undefined,
  ])[] = [
    ['gets no message within its first minute', reading, 59_999, undefined],
    [
      'gets a message with the time and the next command',
      reading,
      60_000,
      new RegExp(
        '^no requests came to v2 in 1 min; .*npm run load -- URL.*kubectl-onnx promote.*an error of the client ' +
          'do not count',
      ),
    ],
    [
      'gets only a few different messages, so that the status is not written every minute',
      reading,
      4.9 * 60_000,
      / in 3 min;/,
    ],
    ['gets the message as long as no request comes', reading, 24 * 3_600_000, / in 30 min;/],
    ['gets no message while pods have yet to be asked', { ...reading, pending: true }, 180_000, undefined],
    ['gets no message without a reading', undefined, 180_000, undefined],
    ['gets no message when a request came', { ...reading, idle: false }, 180_000, undefined],
  ];
  for (const [sentence, read, waitedMs, says] of rows) {
    it(sentence, () => {
      const said = noRequests('v2', read, waitedMs);
      if (says === undefined) assert.equal(said, undefined);
      else assert.match(said ?? '', says);
    });
  }
});
