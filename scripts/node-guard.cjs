/**
 * Exits with a message under an old Node, which would fail with a syntax error: the sources need Node 26.
 * Old plain JavaScript on purpose: any version of Node must be able to parse it. Required by .mocharc.cjs and imported
 * first by every main.
 */
'use strict';
var wanted = 26;
var major = Number(process.versions.node.split('.')[0]);
if (major < wanted) {
  process.stderr.write(
    'onnx-operator needs Node >= ' +
      wanted +
      ', this is ' +
      major +
      ' (' +
      process.execPath +
      ').\n' +
      'It comes with the project: npm ci --include=optional, then start it by npm run.\n' +
      'If it is still missing, the platform is not linux-x64 or libatomic1 is not installed: bring your own Node ' +
      wanted +
      '.\n',
  );
  process.exit(2);
}
