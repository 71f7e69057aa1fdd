/**
 * The program in the tests' containers; its arguments are instructions, executed in order:
 * say TEXT | complain TEXT | env NAME | read FILE | write FILE TEXT | exit CODE | serve PORT | grow MIB | fork | deaf |
 * stay. `complain` writes to stderr, `deaf` ignores SIGTERM.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';

const words = process.argv.slice(2);
const next = () => words.shift() ?? '';
let ready = process.env['STARTS_READY'] !== 'no';

const verbs = {
  say: () => console.log(next()),
  complain: () => console.error(next()),
  env: () => {
    const name = next();
    console.log(`${name}=${process.env[name]}`);
  },
  read: () => console.log(readFileSync(next(), 'utf8').trim()),
  write: () => writeFileSync(next(), next()),
  exit: () => process.exit(Number(next())),
  serve: () => serve(Number(next())),
  grow: () => grow(Number(next())),
  // A child process in the same process group, which ignores SIGTERM.
  fork: () => {
    const child = spawn(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'], {
      stdio: 'ignore',
    });
    console.log(`child ${child.pid}`);
  },
  deaf: () => process.on('SIGTERM', () => console.log('ignored SIGTERM')),
  stay: () => {
    setInterval(() => {}, 1000);
  },
};

/**
 * GET / returns the pod's name. /be-ready and /be-unready set the answer of /ready. /file?PATH reads the file for each
 * request. /slow answers after 300 ms. /die ends the process with exit code 3.
 */
function serve(port) {
  const server = createServer((request, response) => {
    response.setHeader('connection', 'close');
    const url = new URL(request.url ?? '/', 'http://program');
    if (url.pathname === '/be-ready') ready = true;
    if (url.pathname === '/be-unready') ready = false;
    if (url.pathname === '/die') process.exit(3);
    if (url.pathname === '/ready' && !ready) return response.writeHead(503).end('not ready');
    if (url.pathname === '/file') return response.end(readFileSync(url.search.slice(1), 'utf8'));
    if (url.pathname === '/slow') return setTimeout(() => response.end('slow'), 300);
    response.end(process.env['POD_NAME'] ?? 'someone');
  });
  server.listen(port, process.env['POD_IP'], () => console.log(`serving on ${process.env['POD_IP']}:${port}`));
  // Answer for one more second, because connections still arrive just after the pod left its Service.
  process.on('SIGTERM', () => setTimeout(() => server.close(() => process.exit(0)), 1000));
}

function grow(mebibytes) {
  const held = [];
  setInterval(() => {
    if (held.length * 4 < mebibytes) held.push(Buffer.alloc(4 * 2 ** 20, 1));
  }, 5);
}

while (words.length > 0) {
  const verb = verbs[next()];
  if (verb === undefined) process.exit(64);
  verb();
}
