/**
 * Local mode's API server as a separate process, so that its CPU time can be measured separately from the CPU time of
 * the bench.
 * Owns: one line of JSON on standard output, `{"server": …, "token": …}`.
 * Ends: when standard input ends. Standard input also ends when the bench is killed.
 */
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer } from '../../local/api-server/server.ts';

const { url, token, close } = await startApiServer({ clock: systemClock, logger: silentLogger });
process.stdout.write(`${JSON.stringify({ server: url, token })}\n`);
process.stdin.resume().once('close', () => void close().then(() => process.exit(0)));
