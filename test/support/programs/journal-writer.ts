/**
 * Writes ConfigMaps into a data folder until the process is killed, and prints the name of each ConfigMap once it is
 * written.
 */
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { createCore } from '../../../local/api-server/core.ts';
import { openJournal } from '../../../local/api-server/journal.ts';

const [folder = ''] = process.argv.slice(2);
const journal = await openJournal(folder, silentLogger);
const core = createCore({ clock: systemClock, loaded: journal.loaded, follow: (store) => journal.follow(store) });
for (let index = 0; ; index += 1) {
  core.objects.create(
    { apiVersion: 'v1', plural: 'configmaps' },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `c${index}`, namespace: 'default' } },
  );
  await new Promise<void>((resolve) => process.stdout.write(`c${index}\n`, () => resolve()));
}
