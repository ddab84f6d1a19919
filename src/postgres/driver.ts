/** What node-postgres has and its types do not say. */
declare module 'pg' {
  interface ClientConfig {
    /** `database`: the session takes commands of the replication protocol. */
    replication?: 'database';
    /** How a `Connection` is told what a `Client` is told as `sslnegotiation`. */
    sslNegotiation?: 'postgres' | 'direct';
  }

  interface Connection {
    connect(portOrSocket: number | string, host?: string): void;
    requestSsl(): void;
    cancel(processId: number, secretKey: number): void;
    end(): void;
  }

  interface ClientBase {
    readonly connection: Connection;
    readonly processID: number | null;
    readonly secretKey: number | null;
  }
}

export type { ClientConfig } from 'pg';
