/**
 * What this program uses of node:http.
 *
 * Why: `import … from 'node:http'` reads every export of the module when it is loaded. One of them, WebSocket, loads
 *      the whole HTTP client of Node.js, which takes 65 ms of CPU time at each start. Types are still imported from
 *      node:http.
 */
export const { Agent, createServer, get, request, STATUS_CODES } = process.getBuiltinModule('node:http');
