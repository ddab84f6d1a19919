/** Members of node-postgres that its types lack. */
declare module 'pg' {
  interface ClientConfig {
    /** `database` for a session that takes commands of the replication protocol. */
    replication?: 'database';
    /** The option of `Connection` that `Client` calls `sslnegotiation`. */
    sslNegotiation?: 'postgres' | 'direct';
    /** How often a server may have a password hashed; 0 for any number. */
    scramMaxIterations?: number;
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
