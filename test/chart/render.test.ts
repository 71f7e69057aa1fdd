/** Renders the chart with the real Helm: lint, goldens, and the answers to wrong values. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { kubeToolsRunHere } from '../../scripts/kubectl.ts';
import { assertGolden } from '../support/golden.ts';
import { chartFolder, helm } from '../support/helm.ts';

const valuesFolder = join(import.meta.dirname, 'values');
const given = (name: string): string[] => ['--values', join(valuesFolder, `${name}.yaml`)];
const kubeVersion = ['--kube-version', '1.35.0'];

function rendered(args: readonly string[]): string {
  const answer = helm([
    'template',
    'onnx-operator',
    chartFolder,
    '--namespace',
    'onnx-system',
    ...kubeVersion,
    ...args,
  ]);
  assert.equal(answer.code, 0, answer.err);
  return answer.out;
}

// prettier-ignore
const wrong: readonly { readonly title: string; readonly set: readonly string[]; readonly says: RegExp }[] = [
  { title: 'no repository of the operator', set: ['image.repository='], says: /\/image\/repository.*minLength/ },
  { title: 'no repository of the runtime', set: ['runtimeImage.repository='], says: /\/runtimeImage\/repository/ },
  { title: 'a digest without a hash', set: ['image.digest=latest'], says: /\/image\/digest.*pattern/ },
  { title: 'a misspelt value', set: ['replica=2'], says: /additional propert.*'replica'/ },
  { title: 'a misspelt value in a group', set: ['metrics.serviceMonitors=true'], says: /'serviceMonitors'/ },
  { title: 'a negative count', set: ['replicas=-1'], says: /\/replicas.*minimum/ },
  { title: 'a text instead of a number', set: ['replicas=two'], says: /\/replicas.*want integer/ },
  { title: 'an unknown level', set: ['logLevel=trace'], says: /\/logLevel.*must be one of/ },
  { title: 'a namespace that cannot exist', set: ['watchNamespaces[0]=Team_A'], says: /\/watchNamespaces\/0.*pattern/ },
  { title: 'a monitor without its Service', set: ['metrics.serviceMonitor=true', 'metrics.service=false'],
    says: /metrics\.serviceMonitor needs metrics\.service/ },
];

(kubeToolsRunHere ? describe : describe.skip)('the chart under Helm', () => {
  for (const file of readdirSync(valuesFolder)) {
    const name = file.replace('.yaml', '');
    it(`passes lint and renders as recorded: ${name}`, () => {
      const lint = helm(['lint', chartFolder, '--strict', ...given(name)]);
      assert.equal(lint.code, 0, lint.out + lint.err);
      const text = rendered(given(name));
      const names = parseAllDocuments(text).map((document) => {
        assert.deepEqual(document.errors, []);
        const { kind, metadata } = document.toJS() as { kind: string; metadata: { name: string; namespace?: string } };
        return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
      });
      assert.equal(new Set(names).size, names.length, `an object is rendered twice: ${names.join(', ')}`);
      // The definition has a golden of its own: crds/.
      assertGolden(
        `golden/chart/${name}.golden`,
        text.replace(/^---\n# Source: \S+definition\.yaml\n.*?(?=^---)/ms, ''),
      );
    });
  }

  it('contains the definition of crds/, kept on uninstall unless asked', () => {
    const shown = ['--show-only', 'templates/definition.yaml', ...given('default')];
    assert.match(rendered(shown), /helm\.sh\/resource-policy: keep/);
    assert.doesNotMatch(rendered([...shown, '--set', 'crds.keep=false']), /resource-policy/);
  });

  it('has no cluster-wide right in namespaced mode', () => {
    assert.doesNotMatch(rendered(given('namespaced')), /kind: ClusterRole/);
  });

  for (const { title, set, says } of wrong)
    it(`refuses ${title}`, () => {
      const sets = set.flatMap((one) => ['--set', one]);
      const answer = helm(['template', 'x', chartFolder, ...kubeVersion, ...given('default'), ...sets]);
      assert.notEqual(answer.code, 0);
      assert.match(answer.err, says);
    });
});
