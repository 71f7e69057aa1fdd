/** The comparison of counted requests with recorded ones. */
import assert from 'node:assert/strict';
import { comparedWith, recordedWith, type Recorded } from '../../../../bench/operator/record.ts';
import { perTime, tableOf, type Row } from '../../../../bench/operator/rows.ts';
import type { RequestCounts } from '../../../../bench/operator/requests.ts';

const row = (requests: RequestCounts, more: Partial<Row> = {}): Row => ({
  name: 'cold',
  per: 'models',
  times: 20,
  requests,
  refused: {},
  figures: { seconds: 1.5 },
  ...more,
});
const before = row({ 'apply services': 40, 'get services': 40, 'watch services': 1 });
const recorded: Recorded = { local: [before] };

const failures = (now: Row, setting = 'local'): readonly string[] =>
  comparedWith(recorded, setting, [now]).flatMap(({ passed, sentence }) => (passed ? [] : [sentence]));

describe('perTime', () => {
  it('divides requests and writes by the number of times, without watches', () =>
    assert.deepEqual(perTime(before), { requests: 4, writes: 2 }));
});

describe('comparedWith', () => {
  it('checks requests and writes', () => assert.equal(comparedWith(recorded, 'local', [before]).length, 2));

  it('passes for the same counts', () => assert.deepEqual(failures(before), []));

  it('passes for fewer requests, and says that the record is out of date', () => {
    const [requests] = comparedWith(recorded, 'local', [row({ 'apply services': 40 })]);
    assert.deepEqual(requests, {
      passed: true,
      sentence: 'cold: 2 requests for each of 20 models, recorded 4; fewer: record it',
    });
  });

  it('passes for more watches and for other figures', () =>
    assert.deepEqual(failures(row({ ...before.requests, 'watch services': 900 }, { figures: { seconds: 99 } })), []));

  it('passes for one repeated request', () =>
    assert.deepEqual(failures(row({ ...before.requests, 'apply services': 41 })), []));

  it('fails for one more read for each model, and names it', () =>
    assert.deepEqual(failures(row({ ...before.requests, 'get services': 60 })), [
      'cold: 5 requests for each of 20 models, recorded 4 (limit 4.2); more of: get services +1',
    ]));

  it('fails for one more write for each model, as a request and as a write', () =>
    assert.equal(failures(row({ ...before.requests, 'apply services': 60 })).length, 2));

  it('fails for reads that became writes', () =>
    assert.deepEqual(failures(row({ 'apply services': 60, 'get services': 20 })), [
      'cold: 3 writes for each of 20 models, recorded 2 (limit 2.11); more of: apply services +1',
    ]));

  it('fails for a single request where there was none', () =>
    assert.equal(
      comparedWith({ local: [row({}, { name: 'quiet', times: 1 })] }, 'local', [
        row({ 'update models/status': 1 }, { name: 'quiet', times: 1 }),
      ]).filter(({ passed }) => !passed).length,
      2,
    ));

  it('compares counts of one model with those of many', () =>
    assert.deepEqual(failures(row({ 'apply services': 4, 'get services': 4 }, { times: 2 })), []));

  it('fails for a scenario without a record', () =>
    assert.deepEqual(failures(row({}, { name: 'restart' })), ['the record has no counts for "restart"']));

  it('fails for a setting without a record, and names those that there are', () =>
    assert.deepEqual(failures(before, 'real'), ['the record has no counts for "real"; it has: local']));
});

describe('recordedWith', () => {
  it('keeps other settings and scenarios that did not run', () => {
    const restart = row({}, { name: 'restart' });
    const again = row({ 'apply services': 1 });
    const merged = recordedWith({ real: [before], local: [before, restart] }, 'local', [again]);
    assert.deepEqual(merged, { real: [before], local: [restart, again] });
  });
});

describe('tableOf', () => {
  it('shows counts for each time, refusals and figures', () =>
    assert.deepEqual(tableOf([row({ 'apply services': 40 }, { refused: { '409 apply services': 3 } })]).split('\n'), [
      'cold: 20 models, 2 requests and 2 writes each',
      `  ${'apply services'.padEnd(44)} ${'2'.padStart(10)}`,
      `  ${'  refused: 409 apply services'.padEnd(44)} ${'3'.padStart(10)}`,
      `  ${'seconds'.padEnd(44)} ${'1.5'.padStart(10)}`,
      '',
    ]));
});
