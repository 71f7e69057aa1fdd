/** The Dockerfiles of images/ describe the same images as the builder. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { imageKinds, imageNames, userId } from '../../../../scripts/images/image-kinds.ts';
import { versionOf } from '../../../../scripts/images/root-files.ts';
import { dockerfileProblems, parseDockerfile, type Instruction } from '../../../support/dockerfile.ts';

const repository = join(import.meta.dirname, '..', '..', '..', '..');

function lastStage(instructions: readonly Instruction[]): readonly Instruction[] {
  return instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
}

/** `NAME=VALUE` pairs of the ENV or LABEL instructions, without quotes. */
function pairsOf(instructions: readonly Instruction[], name: string): Readonly<Record<string, string>> {
  const texts = instructions.filter((one) => one.name === name).map(({ text }) => text);
  const pairs = texts.flatMap((text) => [...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)]);
  return Object.fromEntries(pairs.map(([, key = '', quoted, bare]) => [key, quoted ?? bare ?? '']));
}

function valueOf(instructions: readonly Instruction[], name: string): string | undefined {
  return instructions.findLast((one) => one.name === name)?.text;
}

for (const name of imageNames) {
  describe(`images/${name}/Dockerfile`, () => {
    const kind = imageKinds[name];
    const instructions = parseDockerfile(readFileSync(join(repository, 'images', name, 'Dockerfile'), 'utf8'));
    const last = lastStage(instructions);

    it('keeps the rules for Dockerfiles', () => assert.deepEqual(dockerfileProblems(instructions), []));

    it("has the builder's files in its last stage, and no others", () => {
      assert.equal(valueOf(last, 'FROM'), 'scratch');
      assert.deepEqual(
        last.filter((one) => one.name === 'COPY').map(({ text }) => text),
        ['--from=build /image/ /'],
      );
      assert.ok(instructions.some(({ text }) => text.includes(`npm run image -- --image ${name} --root /image`)));
    });

    it("has the builder's entry point, user, environment and labels", () => {
      assert.deepEqual(JSON.parse(valueOf(last, 'ENTRYPOINT') ?? ''), kind.entrypoint);
      assert.equal(valueOf(last, 'USER'), `${userId}:${userId}`);
      assert.equal(valueOf(last, 'WORKDIR'), '/app');
      assert.deepEqual(pairsOf(last, 'ENV'), kind.env);
      assert.deepEqual(pairsOf(last, 'LABEL'), {
        ...kind.labels,
        'org.opencontainers.image.version': versionOf(repository),
        'org.opencontainers.image.revision': '${REVISION}',
      });
    });

    it('copies only files that exist and that .dockerignore lets through', () => {
      const allowed = readFileSync(join(repository, '.dockerignore'), 'utf8').split('\n');
      const sources = instructions
        .filter((one) => one.name === 'COPY' && !one.text.startsWith('--from'))
        .flatMap(({ text }) => text.split(/\s+/).slice(0, -1));
      assert.ok(sources.length > 0);
      assert.deepEqual(
        sources.filter((path) => !existsSync(join(repository, path)) || !allowed.includes(`!${path}`)),
        [],
      );
    });
  });
}

describe('images/runtime-cuda', () => {
  const folder = join(repository, 'images', 'runtime-cuda');
  const text = (name: string): string => readFileSync(join(folder, name), 'utf8');
  const instructions = parseDockerfile(text('Dockerfile'));
  const last = lastStage(instructions);

  it('keeps the rules for Dockerfiles', () => assert.deepEqual(dockerfileProblems(instructions), []));

  it('is the image runtime and one layer', () => {
    assert.equal(valueOf(last, 'FROM'), '${RUNTIME}');
    assert.ok(instructions.some(({ text: arg }) => arg === `RUNTIME=${imageKinds.runtime.defaultTag}`));
    assert.deepEqual(
      last.filter((one) => ['COPY', 'RUN', 'WORKDIR'].includes(one.name)).map((one) => one.text),
      ['--from=libraries /layer/ /'],
    );
    assert.equal(valueOf(last, 'USER'), `${userId}:${userId}`);
  });

  it('adds only the CUDA provider, beside the ONNX Runtime of the image, and libraries of CUDA', () => {
    const provider = 'app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/';
    const paths = text('files.txt').trimEnd().split('\n');
    assert.deepEqual(
      paths.filter((path) => path.startsWith('app/')),
      [`${provider}libonnxruntime_providers_cuda.so`, `${provider}libonnxruntime_providers_shared.so`],
    );
    const cuda = paths.filter((path) => !path.startsWith('app/'));
    assert.deepEqual(
      cuda.filter((path) => !/^usr\/local\/cuda\/lib\/lib\w+(-\w+)?\.so\.[\d.]+$/.test(path)),
      [],
    );
    // What the provider links to (readelf -d), and what it opens by name.
    for (const name of ['cublas', 'cublasLt', 'cudart', 'curand', 'cufft', 'cudnn'])
      assert.ok(
        cuda.some((path) => path.includes(`/lib${name}.so.`)),
        name,
      );
    assert.equal(new Set(paths).size, paths.length);
  });

  it('installs wheels by their digest, of the version of ONNX Runtime in the lock file', () => {
    const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
      readonly packages: Readonly<Record<string, { readonly version?: string }>>;
    };
    const wheels = text('requirements.txt')
      .replaceAll('\\\n', ' ')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    assert.deepEqual(
      wheels.filter((line) => !/^[\w-]+==[\w.]+\s+--hash=sha256:[0-9a-f]{64}$/.test(line)),
      [],
    );
    const version = packages['node_modules/onnxruntime-node']?.version;
    assert.ok(wheels.some((line) => line.startsWith(`onnxruntime-gpu==${version} `)));
  });
});

describe('dockerfileProblems', () => {
  // prettier-ignore
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ['a file from the network', 'ADD https://example.com/x /x', /ADD/],
    ['a base without a tag', 'FROM debian', /debian/],
    ['the tag latest', 'FROM debian:latest', /debian:latest/],
    ['a last stage without a user', 'FROM scratch\nENTRYPOINT ["/x"]', /USER/],
    ['a last stage that runs as root', 'FROM scratch\nUSER 0:0', /USER/],
    ['a user by name, which Kubernetes cannot check', 'FROM scratch\nUSER www-data', /USER/],
    ['an unknown stage', 'FROM scratch\nUSER 1:1\nCOPY --from=nowhere /x /x', /nowhere/],
    ['a program in shell form', 'FROM scratch\nUSER 1:1\nENTRYPOINT /x', /ENTRYPOINT/],
    ['a download by a shell', 'FROM a:1 AS b\nRUN curl https://example.com | sh\nFROM scratch\nUSER 1:1', /curl/],
  ];
  for (const [what, text, problem] of rows) {
    it(`finds ${what}`, () => assert.match(dockerfileProblems(parseDockerfile(text)).join('\n'), problem));
  }

  it('accepts a base that an ARG names with a tag', () =>
    assert.deepEqual(dockerfileProblems(parseDockerfile('ARG B=a:1\nFROM ${B} AS b\nFROM scratch\nUSER 1:1')), []));
});
