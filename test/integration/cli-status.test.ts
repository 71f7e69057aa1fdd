/** `kubectl-onnx status` against local mode's API server. */
import assert from 'node:assert/strict';
import { status } from '../../cli/commands/status.ts';
import { ModelApi } from '../support/model-api.ts';

describe('kubectl-onnx status', () => {
  let api: ModelApi;
  before(async () => {
    api = await ModelApi.start('ml');
    api.create('ml', 'ranker');
    api.say('ml', 'ranker', {
      phase: 'Stable',
      stable: { revision: 'aaaaaaaaaa', provider: 'CPU' },
      claims: [{ type: 'Ready', status: 'True', reason: 'UpToDate', message: 'it serves' }],
    });
  });
  after(() => api.close());

  async function shown(...argv: string[]): Promise<string> {
    let text = '';
    assert.equal(
      await status([...argv, '--kubeconfig', api.kubeconfig], (piece) => (text += piece), new AbortController().signal),
      0,
    );
    return text;
  }

  it('shows the model of the namespace', async () => {
    const text = await shown('ranker', '-n', 'ml');
    assert.match(text, /^ml\/ranker: Ready: UpToDate\n {2}it serves\n/);
    assert.match(text, /stable {2}aaaaaaaaaa .*CPU/);
  });

  it('prints one JSON document', async () => {
    const { name, namespace, outcome, stable, generation } = JSON.parse(
      await shown('ranker', '--namespace', 'ml', '-o', 'json'),
    ) as Record<string, unknown>;
    assert.deepEqual(
      { name, namespace, outcome, stable, generation },
      {
        name: 'ranker',
        namespace: 'ml',
        outcome: 'Ready',
        stable: { revision: 'aaaaaaaaaa', provider: 'CPU' },
        generation: 1,
      },
    );
  });

  it("reads the context's namespace without --namespace", () =>
    assert.rejects(shown('ranker'), { kind: 'missing', message: 'OnnxModel default/ranker: does not exist' }));
  it('refuses an unknown format', () =>
    assert.rejects(shown('ranker', '-o', 'yaml'), { code: 'BAD_FLAG', message: /'yaml' is not a format/ }));
  it('prints its help', async () => assert.match(await shown('--help'), /^Usage: kubectl-onnx status NAME/));

  it('reports an unreachable server as transient', async () => {
    const off = api.server.faults.add({ kind: 'reset' });
    await assert.rejects(shown('ranker'), { code: 'KUBE_UNREACHABLE', kind: 'transient' });
    off();
  });
});
