/** Every emitted reason is in the table, and every reason in the table is emitted and tested. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventClassOf, isReasonOf, reasons, type Reason, type ReasonSource } from '../../../api/reasons.ts';
import type { OnnxModel } from '../../../api/onnxmodel.ts';
import { withoutComments } from '../../support/imports.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const text = (path: string): string => readFileSync(join(root, path), 'utf8');
const words = Object.keys(reasons) as Reason[];
const textOf = (pattern: string, but = ''): string =>
  globSync(pattern, { cwd: root })
    .filter((path) => path !== but)
    .map((path) => withoutComments(text(path)))
    .join('\n');

/** The code that emits reasons, without comments. */
const sources = ['operator/**/*.ts', 'cli/cluster/outcome.ts', 'api/error-codes.ts']
  .map((pattern) => textOf(pattern))
  .join('\n');
const tests = textOf('test/**/*.test.ts', 'test/unit/api/reasons.test.ts');
const goldens = globSync('test/story/**/*.golden', { cwd: root });

/** The reasons in a line of a story. A reason follows the time, the phase and the pods, and ends in a colon. */
const inStory = (line: string): readonly string[] =>
  [...line.matchAll(/^ *\d+s .*?\s([A-Z][A-Za-z]+): /g)].map(([, word = '']) => word);

/** Every reason that a status contains. */
function reasonsIn({ conditions = [], rollout, history = [], stable, candidate }: NonNullable<OnnxModel['status']>) {
  return [
    ...conditions.map(({ reason }) => reason),
    rollout?.reason,
    ...(rollout?.gates ?? []).map(({ reason }) => reason),
    ...history.flatMap(({ reason, gates = [] }) => [reason, ...gates.map((gate) => gate.reason)]),
    ...[stable, candidate].flatMap((one) => one?.pods ?? []).map(({ reason }) => reason),
  ].filter((reason) => reason !== undefined);
}

const unknown = (found: readonly string[]): readonly string[] =>
  [...new Set(found)].filter((word) => !Object.hasOwn(reasons, word));

describe('the table of reasons', () => {
  it('has only reasons that the code emits', () =>
    assert.deepEqual(
      words.filter((word) => !new RegExp(`'${word}'`).test(sources)),
      [],
    ));

  it('has only reasons that occur in a test', () =>
    assert.deepEqual(
      words.filter((word) => !new RegExp(`\\b${word}\\b`).test(tests)),
      [],
    ));

  it('has every reason of the stories', () => {
    const found = goldens.flatMap((path) => text(path).split('\n').flatMap(inStory));
    assert.ok(new Set(found).size > 20, 'the lines of the stories are read');
    assert.deepEqual(unknown(found), []);
  });

  it('has every reason in statuses of operator 0.1.0', () => {
    const objects = globSync('test/fixtures/upgrade/*.jsonl', { cwd: root })
      .flatMap((path) => text(path).trim().split('\n'))
      .map((line) => JSON.parse(line) as OnnxModel)
      .filter(({ kind }) => kind === 'OnnxModel');
    const found = objects.flatMap(({ status }) => (status === undefined ? [] : reasonsIn(status)));
    assert.ok(new Set(found).size > 15, 'the statuses are read');
    assert.deepEqual(unknown(found), []);
  });

  it('has every reason that the pages of the command line show', () => {
    const pages = globSync('test/golden/cli/*.txt', { cwd: root }).map(text).join('\n');
    const found = [...pages.matchAll(/^ {2}[A-Z]\w+ +(?:True|False|Unknown) +\S+ +([A-Z]\w+)/gm)].map(
      ([, word = '']) => word,
    );
    assert.ok(found.length > 5, 'the conditions are read');
    assert.deepEqual(unknown(found), []);
  });

  const notMade: readonly { readonly name: string; readonly is: (word: Reason) => boolean }[] = [
    { name: 'Kubernetes accepts', is: (word) => /^[A-Z][A-Za-z]{2,63}$/.test(word) },
    { name: 'have a sentence with their meaning', is: (word) => /^[^|\n]+\.$/.test(reasons[word].says) },
    { name: 'say what to do', is: (word) => /^[^|\n]+\.$/.test(reasons[word].todo) },
  ];
  for (const { name, is } of notMade) {
    it(`has reasons that ${name}`, () =>
      assert.deepEqual(
        words.filter((word) => !is(word)),
        [],
      ));
  }

  it('names only fields that the spec has', () => {
    const fields = text('docs/reference/onnxmodel.md');
    const named = words.flatMap((word) => {
      const { says, todo } = reasons[word];
      return [...`${says} ${todo}`.matchAll(/`(spec\.[\w.]+)`/g)].map(([, field = '']) => field);
    });
    assert.ok(named.length > 30);
    assert.deepEqual(
      named.filter((field) => !fields.includes(`\`${field}\``)),
      [],
    );
  });

  it('gives a Warning Event to reasons for which a candidate is given up', () => {
    const giving: readonly ReasonSource[] = ['pod', 'gate'];
    assert.deepEqual(
      words.filter((word) => giving.includes(reasons[word].from[0]) && eventClassOf(word) !== 'Warning'),
      [],
    );
  });

  it('knows the reasons of ArtifactReady', () => {
    const own = words.filter((word) => isReasonOf('ArtifactReady', word)).toSorted();
    assert.deepEqual(own, [
      'DigestMismatch',
      'InvalidModel',
      'ModelTooLarge',
      'PrecisionMissing',
      'PrepareFailed',
      'Preparing',
      'Resolved',
      'SourceInvalid',
      'SourceMissing',
      'SourceUnavailable',
    ]);
  });
  it('does not have a name that every object inherits', () => {
    assert.equal(isReasonOf('ArtifactReady', 'constructor'), false);
    assert.equal(eventClassOf('constructor'), 'Warning');
  });
});
