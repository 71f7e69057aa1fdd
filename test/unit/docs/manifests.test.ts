/** The manifests in the documents are valid. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { openApiSchema } from '../../../api/onnxmodel.ts';
import type { JsonSchema } from '../../../api/schema/builder.ts';
import { parseDurationMs } from '../../../api/units.ts';
import { documentsOf } from '../../../cli/offline/manifest-files.ts';
import { verbs } from '../../../cli/commands/intend.ts';
import { judgeDocument } from '../../../cli/commands/validate.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const text = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const blocks = pages.flatMap((page) =>
  [...text(page).matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, body = ''], i) => ({ page, number: i + 1, body })),
);

describe('YAML in the documents', () => {
  for (const { page, number, body } of blocks) {
    it(`${page}, block ${number}, is YAML, and its OnnxModels are valid`, () => {
      for (const document of parseAllDocuments(body)) assert.deepEqual('errors' in document ? document.errors : [], []);
      const wrong = documentsOf(page, body)
        .flatMap(judgeDocument)
        .filter(({ outcome }) => outcome === 'Invalid');
      assert.deepEqual(
        wrong.flatMap(({ findings }) => findings.map(({ path, message, line }) => `${line}: ${path}: ${message}`)),
        [],
      );
    });
  }
  it('includes an OnnxModel', () => assert.ok(blocks.some(({ body }) => body.includes('kind: OnnxModel'))));
});

describe('the GitOps recipes', () => {
  const files = readdirSync(join(root, 'docs', 'gitops'));
  for (const file of files)
    it(`${file} is mentioned in gitops.md`, () => assert.ok(text('docs/gitops.md').includes(`gitops/${file}`)));

  const cm = parse(text('docs/gitops/argocd-cm.yaml')) as { readonly data: Readonly<Record<string, string>> };
  it('ignore only existing fields, and every intent of the command line', () => {
    const { jsonPointers } = parse(
      cm.data['resource.customizations.ignoreDifferences.onnx-operator.dev_OnnxModel'] ?? '',
    ) as { readonly jsonPointers: readonly string[] };
    for (const pointer of jsonPointers) {
      const field = pointer
        .split('/')
        .slice(1)
        .reduce<JsonSchema | undefined>((at, name) => at?.properties?.[name], openApiSchema('published'));
      assert.ok(field !== undefined, `${pointer} is not a field`);
    }
    for (const intent of ['paused', 'abortRevision', 'promoteRevision', 'pinRevision', 'resumeStep', 'retryToken'])
      assert.ok(jsonPointers.includes(`/spec/rollout/${intent}`), intent);
  });
  it('have actions that are also commands', () => {
    const { definitions } = parse(cm.data['resource.customizations.actions.onnx-operator.dev_OnnxModel'] ?? '') as {
      readonly definitions: readonly { readonly name: string }[];
    };
    assert.deepEqual(
      definitions.filter(({ name }) => !Object.hasOwn(verbs, name)),
      [],
    );
  });
  it('let Flux wait longer than a candidate may take to start and to be judged', () => {
    const { spec } = parse(text('docs/gitops/flux.yaml')) as {
      readonly spec: { readonly wait: boolean; readonly timeout: string };
    };
    assert.equal(spec.wait, true);
    // Three times 30 minutes: the default progressDeadline, and two analyze steps with the default maxDuration.
    assert.ok((parseDurationMs(spec.timeout) ?? 0) >= 3 * (parseDurationMs('30m') ?? Infinity));
  });
  it('let Argo CD keep ignored fields at sync', () => {
    const { spec } = parse(text('docs/gitops/argocd-application.yaml')) as {
      readonly spec: { readonly syncPolicy: { readonly syncOptions: readonly string[] } };
    };
    assert.ok(spec.syncPolicy.syncOptions.includes('RespectIgnoreDifferences=true'));
  });
});
