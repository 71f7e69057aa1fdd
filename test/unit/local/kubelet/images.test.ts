import assert from 'node:assert/strict';
import { commandLine, findImage, imageId, imageKey } from '../../../../local/kubelet/images.ts';

const image = { entrypoint: ['/opt/run', 'main'] };
const table = new Map([
  ['app:1', image],
  ['plain:latest', image],
]);

describe('images', () => {
  it('reads a name without a tag as latest', () => {
    assert.equal(imageKey('host:5000/app'), 'host:5000/app:latest');
    assert.equal(findImage(table, 'plain'), image);
    assert.equal(findImage(table, 'app'), undefined);
  });

  it('has an id for known images only', () => {
    assert.match(imageId(table, 'app:1'), /^local\/app:1@sha256:[0-9a-f]{64}$/);
    assert.equal(imageId(table, 'other:1'), '');
  });

  const rows: readonly (readonly [
    string,
    readonly string[] | undefined,
    readonly string[],
    readonly string[] | RegExp,
  ])[] = [
    ['appends args to the program', undefined, ['--x'], ['/opt/run', 'main', '--x']],
    ['runs the program with its own arguments', ['/opt/run', 'other'], ['--x'], ['/opt/run', 'other', '--x']],
    ['runs a shell', ['/bin/sh', '-c', 'true'], [], ['/bin/sh', '-c', 'true']],
    [
      'has nothing else',
      ['/usr/bin/env'],
      [],
      /exec: "\/usr\/bin\/env": stat \/usr\/bin\/env: no such file or directory/,
    ],
  ];
  for (const [name, command, args, want] of rows) {
    it(name, () => {
      const line = commandLine(image, command, args);
      if (want instanceof RegExp) assert.match('problem' in line ? line.problem : '', want);
      else assert.deepEqual('argv' in line && line.argv, want);
    });
  }
});
