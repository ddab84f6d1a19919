import type { CopyValue } from './copy-text.ts';

export interface Column {
  readonly name: string;
  /** As CREATE TABLE takes it, constraints included. */
  readonly type: string;
  readonly comment?: string;
}

export interface TableDefinition {
  readonly name: string;
  readonly comment: string;
  readonly columns: readonly Column[];
  readonly primaryKey: readonly string[];
}

/** A column that knows its value in a record of the file. */
export interface RecordColumn<Source> extends Column {
  readonly value: (record: Source, index: number) => CopyValue;
}

/** A definition whose columns can be read from records. */
export interface RecordDefinition<Source> extends TableDefinition {
  readonly columns: readonly RecordColumn<Source>[];
}

/** A table whose file is small enough to read in one go. */
export interface RecordTable extends TableDefinition {
  readonly rows: () => Promise<Iterable<readonly CopyValue[]>>;
}

/** Binds the columns to the records they are read from. */
export function recordTable<Source>(
  definition: RecordDefinition<Source>,
  read: () => Promise<Iterable<Source>>,
): RecordTable {
  const { columns } = definition;
  return { ...definition, rows: async () => valuesOf(await read(), columns) };
}

function* valuesOf<Source>(
  records: Iterable<Source>,
  columns: readonly RecordColumn<Source>[],
): Generator<readonly CopyValue[]> {
  let index = 0;
  for (const record of records) {
    const position = index++;
    yield columns.map((column) => column.value(record, position));
  }
}
