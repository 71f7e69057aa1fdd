/**
 * Stops with a sentence where a syntax error would follow: the sources need Node 26.
 *
 * Plain JavaScript of ten years ago, on purpose: it has to parse under any Node. Required by
 * .mocharc.cjs and imported first by every main.
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
