/**
 * Writes every generated file. With --check, it only reports which files differ.
 * Owns: the list of generated files. They are committed; CI runs --check, which exits 1 when a file differs.
 */

import '../node-guard.cjs';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { reportReference, runtimeConfigReference } from './contract-reference.ts';
import {
  chartDefinition,
  chartRules,
  chartValuesReference,
  chartValuesSchema,
  chartValuesYaml,
  permissionReference,
} from './chart-files.ts';
import { crdYaml } from './crd.ts';
import { errorReference } from './error-reference.ts';
import { fieldReference } from './field-reference.ts';
import { kubeToolsRunHere } from '../kubectl.ts';
import { kustomization, kustomizeObjects } from './kustomize.ts';
import { reasonReference } from './reason-reference.ts';

const root = join(import.meta.dirname, '..', '..');

const files: readonly { readonly path: string; readonly make: () => string }[] = [
  { path: 'crds/onnxmodels.yaml', make: crdYaml },
  { path: 'docs/reference/onnxmodel.md', make: fieldReference },
  { path: 'docs/reference/runtime-config.md', make: runtimeConfigReference },
  { path: 'docs/reference/report.md', make: reportReference },
  { path: 'docs/reference/errors.md', make: errorReference },
  { path: 'docs/reference/reasons.md', make: reasonReference },
  { path: 'docs/reference/permissions.md', make: permissionReference },
  { path: 'docs/reference/chart-values.md', make: chartValuesReference },
  { path: 'charts/onnx-operator/values.yaml', make: chartValuesYaml },
  { path: 'charts/onnx-operator/values.schema.json', make: chartValuesSchema },
  { path: 'charts/onnx-operator/files/rules-models.yaml', make: () => chartRules('models') },
  { path: 'charts/onnx-operator/files/rules-lease.yaml', make: () => chartRules('lease') },
  { path: 'charts/onnx-operator/templates/definition.yaml', make: chartDefinition },
  { path: 'deploy/definition.yaml', make: crdYaml },
  { path: 'deploy/kustomization.yaml', make: kustomization },
  // Made from the chart's files above, so these come first.
  ...(kubeToolsRunHere ? [{ path: 'deploy/operator.yaml', make: kustomizeObjects }] : []),
];

const check = process.argv.includes('--check');
let different = 0;
for (const { path, make } of files) {
  const target = join(root, path);
  const want = make();
  const have = existsSync(target) ? readFileSync(target, 'utf8') : undefined;
  if (have === want) continue;
  different += 1;
  if (check) {
    console.error(`${path} differs from what \`npm run generate\` writes`);
  } else {
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, want);
    console.log(`wrote ${path}`);
  }
}
process.exitCode = check && different > 0 ? 1 : 0;
