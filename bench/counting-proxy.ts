import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A proxy that counts the bytes passing through, for runs whose time does not matter. */
export class CountingProxy {
  readonly url: string;
  readonly #close: () => void;
  #bytes = { fromServer: 0, toServer: 0 };

  private constructor(url: string, close: () => void) {
    this.url = url;
    this.#close = close;
  }

  static async before(serverUrl: string): Promise<CountingProxy> {
    const target = new URL(serverUrl);
    const sockets = new Set<Socket>();
    const server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
      }
      // the pipes pass on an orderly end
      client.on('error', () => upstream.destroy());
      upstream.on('error', () => client.destroy());
      client.on('data', (chunk) => (proxy.#bytes.toServer += chunk.length));
      upstream.on('data', (chunk) => (proxy.#bytes.fromServer += chunk.length));
      client.pipe(upstream).pipe(client);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = new URL(serverUrl);
    url.port = String((server.address() as AddressInfo).port);
    const proxy = new CountingProxy(url.href, () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return proxy;
  }

  /** Returns the bytes in each direction since the last call. */
  take(): { fromServer: number; toServer: number } {
    const bytes = this.#bytes;
    this.#bytes = { fromServer: 0, toServer: 0 };
    return bytes;
  }

  close(): void {
    this.#close();
  }
}
