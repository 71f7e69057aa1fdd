import assert from 'node:assert/strict';
import { pathRewriter } from '../../../../local/kubelet/rewrite-paths.ts';

const rewrite = pathRewriter([
  { mountPath: '/etc/app', hostPath: '/h/config' },
  { mountPath: '/etc/app/extra/', hostPath: '/h/extra' },
  { mountPath: '/mnt/source', hostPath: '/h/$1' },
  { mountPath: '/dev/termination-log', hostPath: '/h/term' },
]);

describe('pathRewriter', () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['replaces a path that is the whole word', '/etc/app', '/h/config'],
    ['replaces the beginning of a path', '/etc/app/runtime.json', '/h/config/runtime.json'],
    ['replaces a path after a flag', '--config=/etc/app/a', '--config=/h/config/a'],
    ['uses the longest mount path', '/etc/app/extra/b', '/h/extra/b'],
    ['does not replace a longer name', '/etc/application', '/etc/application'],
    ['does not replace a name with a suffix', '/etc/app-2/x /etc/app.d', '/etc/app-2/x /etc/app.d'],
    ['does not replace a path that only ends like it', '/root/etc/app', '/root/etc/app'],
    ['does not replace the path of a URL', 'https://host/mnt/source', 'https://host/mnt/source'],
    ['replaces every path of a list', '/etc/app:/mnt/source', '/h/config:/h/$1'],
    ['replaces within quotes and JSON', '{"dir":"/etc/app"}', '{"dir":"/h/config"}'],
    ['replaces the termination log', '/dev/termination-log', '/h/term'],
    ['does not change words without paths', 'run', 'run'],
  ];
  for (const [name, given, want] of rows) it(name, () => assert.equal(rewrite(given), want));

  it('never replaces the root', () => assert.equal(pathRewriter([{ mountPath: '/', hostPath: '/h' }])('/etc'), '/etc'));
});
