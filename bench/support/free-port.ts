/** Finds ports for the programs that a bench starts. */
import { createServer, type AddressInfo } from 'node:net';

/** A port of 127.0.0.1 that was free just now. Another process may take it before the caller does. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
