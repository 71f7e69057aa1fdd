/** The sidecar as a child process, started as the image's entry point starts it. */
import { run } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { runSidecar } from '../../runtime/sidecar/main.ts';

const logger = createLogger('sidecar', 'info');
await run(logger, (stop) => runSidecar(stop, logger));
