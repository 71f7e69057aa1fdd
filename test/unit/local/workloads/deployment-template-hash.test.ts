import assert from 'node:assert/strict';
import { hashLabel, sameTemplate, templateHash } from '../../../../local/workloads/deployment.ts';

describe('templateHash', () => {
  const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };

  it('does not depend on the order of keys', () => {
    const turned = { spec: { containers: [{ image: 'i', name: 'c' }] }, metadata: { labels: { app: 'web' } } };
    assert.equal(templateHash(turned), templateHash(template));
    assert.ok(sameTemplate(turned, template));
  });

  it('does not depend on the label that carries it', () => {
    const labelled = { ...template, metadata: { labels: { app: 'web', [hashLabel]: 'x' } } };
    assert.equal(templateHash(labelled), templateHash(template));
  });

  it('changes with the order of a list', () => {
    const args = (words: readonly string[]): { spec: Record<string, unknown> } => ({ spec: { args: words } });
    assert.notEqual(templateHash(args(['a', 'b'])), templateHash(args(['b', 'a'])));
  });

  it('is valid in a label and a name', () => assert.match(templateHash(template), /^[a-z0-9]{10}$/));
});
