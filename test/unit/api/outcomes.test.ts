/** The outcomes of failed requests, and whether an outcome is a fault of the client or of the server. */
import assert from 'node:assert/strict';
import { codes, type ErrorCode } from '../../../api/error-codes.ts';
import { kinds } from '../../../api/error-kinds.ts';
import { countsAgainstRevision, faults, outcomeKindOf } from '../../../api/outcomes.ts';
import { inheritedNames } from '../../support/inherited-names.ts';

const ownDeadlineMs = 30_000;
// prettier-ignore
const rows: readonly { readonly name: string; readonly code: ErrorCode; readonly clientDeadlineMs?: number;
  readonly want: keyof typeof faults; readonly against: boolean }[] = [
  { name: 'a microsecond of a deadline', code: 'REQUEST_EXPIRED',
    clientDeadlineMs: 0.001, want: 'clientDeadline', against: false },
  { name: 'a deadline just shorter than the server\'s own', code: 'REQUEST_EXPIRED',
    clientDeadlineMs: 29_999, want: 'clientDeadline', against: false },
  { name: 'a deadline as long as the server\'s own', code: 'REQUEST_EXPIRED',
    clientDeadlineMs: 30_000, want: 'deadline', against: true },
  { name: 'a deadline of the client that the queue is too long for', code: 'WAIT_TOO_LONG',
    clientDeadlineMs: 100, want: 'clientDeadline', against: false },
  { name: 'a queue longer than the server\'s own limit', code: 'WAIT_TOO_LONG',
    clientDeadlineMs: 30_000, want: 'overloaded', against: true },
  { name: 'the server\'s own limit, though the client gave a deadline',
    code: 'RUN_STUCK', clientDeadlineMs: 40_000, want: 'deadline', against: true },
  { name: 'bodies that fill their budget', code: 'BODIES_FULL', want: 'clientBody', against: false },
  { name: 'a malformed body', code: 'REQUEST_INVALID', want: 'invalid', against: false },
  { name: 'a body over the limit', code: 'REQUEST_TOO_LARGE', want: 'oversize', against: false },
  { name: 'another model', code: 'MODEL_UNKNOWN', want: 'missing', against: false },
  { name: 'a full queue', code: 'QUEUE_FULL', want: 'overloaded', against: true },
  { name: 'full memory', code: 'MEMORY_FULL', want: 'overloaded', against: true },
  { name: 'a model that is not ready', code: 'NOT_READY', want: 'waiting', against: true },
  { name: 'a failed run', code: 'ENGINE_FAILED', want: 'bug', against: true },
  { name: 'a lost worker', code: 'ENGINE_LOST', want: 'transient', against: true },
];

describe('the outcome of a failed request', () => {
  for (const { name, code, clientDeadlineMs, want, against } of rows) {
    it(`of ${name} is ${want}, which counts ${against ? 'against' : 'neither for nor against'} the revision`, () => {
      const kind = outcomeKindOf({ code, kind: codes[code].kind, clientDeadlineMs, ownDeadlineMs });
      assert.deepEqual([kind, countsAgainstRevision(kind)], [want, against]);
    });
  }

  it('has a fault for every kind of error', () =>
    assert.deepEqual(
      Object.keys(kinds).filter((kind) => !(kind in faults)),
      [],
    ));

  it('of an unknown kind counts neither for nor against the revision', () => {
    for (const name of [...inheritedNames, 'a kind of tomorrow'])
      assert.equal(countsAgainstRevision(name), false, name);
  });
});
