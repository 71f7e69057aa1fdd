/**
 * Mutants (wrong changes that a test must find) of user-facing behaviour: signals, quantities, undo, a candidate (a new
 * revision in a rollout) without requests.
 */
import { group } from '../mutant.ts';

// prettier-ignore
export const peopleMutants = [
  ...group(['test/unit/lib/lifecycle.test.ts'], [
    { name: 'a duplicate Ctrl-C ends at once', of: 'signalHandler', from: 'oneKeystrokeMs, ', to: '0, ' },
    { name: 'a signal delayed by a blocked loop ends the process at once', of: 'signalHandler',
      from: "() => setImmediate(() => (state = 'Impatient'))", to: "() => (state = 'Impatient')" },
  ]),
  ...group(['test/unit/cli/cluster/hand-over.test.ts'], [
    { name: 'intents are handed over', of: 'handedOver',
      within: 'withoutIntents', from: "key !== 'f:rollout' && ", to: '' },
    { name: 'the last manager to edit gets the fields', of: 'applierOf',
      from: "operation === 'Apply'", to: "operation !== 'Apply'" },
    { name: 'a manager that took over and lost its field is forgotten', of: 'handedOver',
      from: '[...entries, { ...heir, fieldsV1: {} }]', to: 'entries' },
  ]),
  ...group(['test/unit/api/quantities.test.ts'], [
    { name: 'exponents are ignored', of: 'parseQuantity',
      within: 'exponentOf', from: 'Number(unit.slice(1))', to: '0' },
  ]),
  ...group(['test/unit/operator/rollout/no-requests.test.ts'], [
    { name: '"no requests" is reported before all pods were asked',
      of: 'noRequests', from: 'reading.pending === true || ', to: '' },
  ]),
];
