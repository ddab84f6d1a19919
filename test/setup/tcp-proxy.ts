import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Settleable } from '../../src/postgres/settleable.ts';

type Side = 'worker' | 'server';

/** A connection from a worker, and the corresponding one to the server. */
interface Link {
  readonly worker: Socket;
  readonly server: Socket;
}

/**
 * A proxy between a worker and a server that makes their connections fail the way networks do.
 *
 * Bytes and stream ends are passed on, with a network-like delay in each direction.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #links = new Set<Link>();
  readonly #listener: Server;
  readonly #latency: number;
  #stalled: Settleable<void> | undefined;
  #bytesPerSecond = Infinity;

  private constructor(listener: Server, latency: number) {
    this.#listener = listener;
    this.#latency = latency;
  }

  /** @param latency milliseconds each way */
  static async start(
    target: { readonly host: string; readonly port: number },
    latency = 0,
  ): Promise<TcpProxy> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true });
    const proxy = new TcpProxy(listener, latency);
    listener.on('connection', (worker) => proxy.#join(worker, target));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return proxy;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#listener.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  /** Returns the URL routed through this proxy. */
  through(url: string): string {
    const proxied = new URL(url);
    proxied.port = String(this.port);
    return proxied.href;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Resets all connections: both sides notice at once. */
  cut(): void {
    for (const { worker, server } of this.#links) {
      worker.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Silently lets nothing through; new connections are accepted and stall too. */
  stall(): void {
    this.#stalled ??= new Settleable<void>();
  }

  flow(): void {
    this.#stalled?.resolve();
    this.#stalled = undefined;
  }

  /** Limits each direction of each connection. */
  throttle(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Ends one direction of all connections: that side receives the end of the stream, but may keep sending. */
  endTowards(side: Side): void {
    for (const link of this.#links) link[side].end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.flow();
    this.cut();
    this.#listener.close();
    await once(this.#listener, 'close');
  }

  #join(worker: Socket, target: { readonly host: string; readonly port: number }): void {
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const link: Link = { worker, server };
    this.#links.add(link);
    for (const [one, other] of [
      [worker, server],
      [server, worker],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        this.#links.delete(link);
        other.destroy();
      });
      void this.#pass(one, other).catch(() => other.resetAndDestroy());
    }
  }

  async #pass(from: Socket, to: Socket): Promise<void> {
    for await (const bytes of from as AsyncIterable<Buffer>) {
      await this.#delay(bytes.length);
      // what arrives after the end is dropped, as in a network that has forgotten the connection
      if (to.writable && !to.write(bytes)) await once(to, 'drain');
    }
    if (to.writable) to.end();
  }

  async #delay(bytes: number): Promise<void> {
    await sleep(this.#latency + (bytes / this.#bytesPerSecond) * 1000);
    await this.#stalled?.promise;
  }
}
