/** Selectors, in cases that the conformance suite does not have. */
import assert from 'node:assert/strict';
import { createCore } from '../../../../local/api-server/core.ts';
import { parseFieldSelector, parseLabelSelector } from '../../../../local/api-server/selectors.ts';
import { StatusError } from '../../../../local/api-server/status.ts';
import type { StoredObject } from '../../../../local/objects.ts';
import { HandClock } from '../../../support/hand-clock.ts';

function labelled(labels: Readonly<Record<string, string>>): StoredObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'n', uid: '', resourceVersion: '', creationTimestamp: '', labels },
    spec: { nodeName: 'local' },
    status: { phase: 'Running' },
  };
}

describe('parseLabelSelector', () => {
  const rows: readonly (readonly [selector: string, labels: Readonly<Record<string, string>>, matches: boolean])[] = [
    ['a=1', { a: '1' }, true],
    ['a=1', { a: '2' }, false],
    ['a=', { a: '' }, true],
    ['a!=1', {}, true],
    ['a in (1,2)', { a: '2' }, true],
    ['a in (1,2)', {}, false],
    ['a notin (1)', {}, true],
    ['a', { a: '' }, true],
    ['!a', { a: '' }, false],
    ['a>3', { a: '5' }, true],
    ['a<3', { a: '5' }, false],
    ['example.com/a=b-c_d.e', { 'example.com/a': 'b-c_d.e' }, true],
    [' a = 1 , b ', { a: '1', b: '2' }, true],
    ['constructor', {}, false],
  ];
  for (const [selector, labels, matches] of rows) {
    it(`${matches ? 'matches' : 'does not match'} ${JSON.stringify(labels)} for ${JSON.stringify(selector)}`, () =>
      assert.equal(parseLabelSelector(selector)(labelled(labels)), matches));
  }
  for (const selector of ['a=b=c', '=', 'a in 1', 'a in (1', 'a b', '-a', 'a=b!', ',']) {
    it(`refuses ${JSON.stringify(selector)}`, () => assert.throws(() => parseLabelSelector(selector), StatusError));
  }
});

describe('parseFieldSelector', () => {
  const pods = createCore({ clock: new HandClock() }).catalog.find('v1', 'pods');
  assert.ok(pods !== undefined);
  const rows: readonly (readonly [selector: string, matches: boolean])[] = [
    ['metadata.name=p', true],
    ['metadata.name!=p', false],
    ['spec.nodeName=local,status.phase=Running', true],
    ['status.phase!=Running', false],
    ['metadata.namespace==n', true],
    ['metadata.name=a\\,b', false],
  ];
  for (const [selector, matches] of rows)
    it(`${matches ? 'matches' : 'does not match'} the pod for ${selector}`, () =>
      assert.equal(parseFieldSelector(selector, pods)(labelled({})), matches));
  it('refuses an unsupported field of pods', () =>
    assert.throws(() => parseFieldSelector('spec.image=x', pods), StatusError));
});
