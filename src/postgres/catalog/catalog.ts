import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';
import {
  readColumns,
  readColumnsOf,
  readTypes,
  readTypesOf,
  type Column,
  type SourceType,
} from './columns.ts';
import { hasPartitions, readTree, readTrees, type PartitionTree } from './partition-tree.ts';
import { readPartitions, type Partition } from './partitions.ts';
import { readServer, type ServerFacts } from './server.ts';
import { asTable, findRelations, findTable, type Relation, type Table } from './table.ts';

/**
 * The catalog of a source as one transaction sees it.
 *
 * The facts of many small tables are read at once, ahead of the plans that need them: a query for each fact of
 * each table would take longer than copying the table. What was not read ahead is queried when it is needed.
 */
export class Catalog {
  readonly session: Session;
  readonly #host: string;
  #server: ServerFacts | undefined;
  #now: string | undefined;
  #relations: ReadonlyMap<string, Relation> = new Map();
  #columns: ReadonlyMap<number, Column[]> = new Map();
  #types: ReadonlyMap<number, ReadonlyMap<number, SourceType>> = new Map();
  #trees: ReadonlyMap<number, PartitionTree> = new Map();
  #partitions: ReadonlyMap<number, Partition> = new Map();

  /** @param host as the environment names it, for display */
  constructor(session: Session, host: string) {
    this.session = session;
    this.#host = host;
  }

  /** Reads all that plans of ordinary tables need. Ignores names that no table has. */
  async readAhead(names: readonly TableName[]): Promise<void> {
    const { session } = this;
    const relations = await findRelations(session, names);
    const oids = relations.map(({ oid }) => oid);
    this.#relations = new Map(relations.map((one) => [keyOf(one), one]));
    this.#columns = await readColumnsOf(session, oids);
    this.#types = await readTypesOf(session, oids);
    this.#trees = await readTrees(session, oids);
    const ordinary = [...this.#trees].filter(([, tree]) => !hasPartitions(tree)).map(([oid]) => oid);
    const partitions = await readPartitions(session, ordinary);
    this.#partitions = new Map(partitions.map((one) => [one.oid, one]));
  }

  /** All types that were read ahead. */
  get allTypes(): ReadonlyMap<number, SourceType> {
    return new Map([...this.#types.values()].flatMap((types) => [...types]));
  }

  async server(): Promise<ServerFacts> {
    return (this.#server ??= await readServer(this.session, this.#host));
  }

  /** Returns when the transaction began, by the server's clock. */
  async now(): Promise<string> {
    return (this.#now ??= (await this.session.one<{ now: string }>('SELECT now()::text AS now')).now);
  }

  /** @throws {DatakitError} UndefinedObject, naming a similar table; InsufficientPrivilege; UnsupportedTable */
  async table(name: TableName): Promise<Table> {
    const found = this.#relations.get(keyOf(name));
    return found === undefined ? findTable(this.session, name) : asTable(found);
  }

  async columns(table: Table): Promise<Column[]> {
    return this.#columns.get(table.oid) ?? readColumns(this.session, table);
  }

  /** Returns the types of a table's columns and all types that they are made of. */
  async types(table: Table): Promise<ReadonlyMap<number, SourceType>> {
    return this.#types.get(table.oid) ?? readTypes(this.session, table);
  }

  async tree(table: Table): Promise<PartitionTree> {
    return this.#trees.get(table.oid) ?? readTree(this.session, table);
  }

  /** Returns the partitions in the order of `oids`. */
  async partitions(oids: readonly number[]): Promise<Partition[]> {
    const known = oids.flatMap((oid) => this.#partitions.get(oid) ?? []);
    return known.length === oids.length ? known : readPartitions(this.session, oids);
  }
}

const keyOf = ({ schema, name }: TableName): string => JSON.stringify([schema, name]);
