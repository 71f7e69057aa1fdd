/** Mutants of what people meet: signals, amounts, undo, a candidate without requests. */
import { group } from '../mutant.ts';

// prettier-ignore
export const peopleMutants = [
  ...group(['test/unit/lib/lifecycle.test.ts'], [
    { name: 'an echo of Ctrl-C ends at once', of: 'signalHandler', from: 'oneKeystrokeMs, ', to: '0, ' },
    { name: 'a signal that waited behind a blocked loop ends at once', of: 'signalHandler',
      from: "() => setImmediate(() => (state = 'Impatient'))", to: "() => (state = 'Impatient')" },
  ]),
  ...group(['test/unit/cli/cluster/hand-over.test.ts'], [
    { name: 'intents are handed over', of: 'handedOver',
      within: 'withoutIntents', from: "key !== 'f:rollout' && ", to: '' },
    { name: 'whoever edited last gets the fields', of: 'applierOf',
      from: "operation === 'Apply'", to: "operation !== 'Apply'" },
    { name: 'an heir without a field is forgotten', of: 'handedOver',
      from: '[...entries, { ...heir, fieldsV1: {} }]', to: 'entries' },
  ]),
  ...group(['test/unit/api/quantities.test.ts'], [
    { name: 'exponents are read as nothing', of: 'parseQuantity',
      within: 'exponentOf', from: 'Number(unit.slice(1))', to: '0' },
  ]),
  ...group(['test/unit/operator/rollout/no-requests.test.ts'], [
    { name: 'no requests are claimed before all pods were asked',
      of: 'noRequests', from: 'reading.pending === true || ', to: '' },
  ]),
];
