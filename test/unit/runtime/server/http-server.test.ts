/** Sockets: where they listen, and how they end. */
import assert from 'node:assert/strict';
import { Agent, request as send, type ServerResponse } from 'node:http';
import { AppError } from '../../../../api/errors.ts';
import { HttpServers, type Handler } from '../../../../runtime/server/http-server.ts';

const listen = (handler: Handler, addresses = ['127.0.0.1'], port = 0) => HttpServers.listen({ addresses, port, maxConnections: 8 }, handler);
const quick: Handler = async (_request, response) => { response.end('ok'); };

function get(port: number, agent: Agent | false, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    send({ host, port, agent }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => { text += chunk.toString(); });
      response.on('end', () => resolve(text));
    }).on('error', reject).end();
  });
}

describe('HttpServers', () => {
  it('listens at several addresses, on one port', async () => {
    const servers = await listen(quick, ['127.0.0.1', '127.0.0.2']);
    assert.deepEqual([await get(servers.port, false), await get(servers.port, false, '127.0.0.2')], ['ok', 'ok']);
    await servers.close();
  });

  it('says that a port is taken, and leaves none open', async () => {
    const first = await listen(quick, ['127.0.0.2']);
    await assert.rejects(listen(quick, ['127.0.0.1', '127.0.0.2'], first.port), (error: unknown) => error instanceof AppError && error.code === 'PORT_TAKEN');
    const again = await listen(quick, ['127.0.0.1'], first.port);
    await Promise.all([first.close(), again.close()]);
  });

  it('says that an address is not of this machine', async () => {
    await assert.rejects(listen(quick, ['192.0.2.1']), (error: unknown) => error instanceof AppError && error.code === 'BAD_CONFIG');
  });

  it('ends kept connections, idle ones and those that were busy when it began to close', async () => {
    const agent = new Agent({ keepAlive: true });
    let answer: (response: ServerResponse) => void = () => {};
    const asked = new Promise<ServerResponse>((resolve) => { answer = resolve; });
    const servers = await listen(async (request, response) => {
      if (request.url === '/' && servers.connections === 1) response.end('ok');
      else answer(response);
    });
    assert.equal(await get(servers.port, agent), 'ok');
    const [busy] = [get(servers.port, new Agent({ keepAlive: true })), await asked];
    const closed = servers.close();
    (await asked).end('late');
    assert.equal(await busy, 'late');
    await closed;
    assert.equal(servers.connections, 0);
    agent.destroy();
  });
});
