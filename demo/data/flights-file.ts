import {
  asyncBufferFromFile,
  parquetMetadataAsync,
  parquetRead,
  type AsyncBuffer,
  type DecodedArray,
  type FileMetaData,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { vegaFile } from './vega-file.ts';

/** The columns of a row group, as arrays of equal length. */
export interface FlightColumns {
  /** Microseconds since 1970 in the airport's local time. */
  readonly date: readonly bigint[];
  readonly delay: readonly bigint[];
  readonly distance: readonly bigint[];
  readonly origin: readonly string[];
  readonly destination: readonly string[];
}

/** Some hundred thousand rows of the file, which are decoded together. */
export interface RowGroup {
  /** Position of its first row in the file. */
  readonly firstRow: number;
  readonly rows: number;
  /** The range of its dates. */
  readonly from: bigint;
  readonly to: bigint;
  readonly read: () => Promise<FlightColumns>;
}

/** A Date only has milliseconds, and creating one per row costs more than the rest of the decoding. */
const parsers = { timestampFromMicroseconds: (microseconds: bigint) => microseconds };

export async function openFlights(): Promise<RowGroup[]> {
  const file = await asyncBufferFromFile(vegaFile('flights-3m.parquet'));
  const metadata = await parquetMetadataAsync(file, { parsers });
  const read = rememberingLast((firstRow, rows) => readColumns(file, metadata, firstRow, rows));
  let firstRow = 0;
  return metadata.row_groups.map((group) => {
    const range = { firstRow, rows: Number(group.num_rows) };
    firstRow += range.rows;
    return { ...range, ...spanOf(group), read: () => read(range.firstRow, range.rows) };
  });
}

type ReadColumns = (firstRow: number, rows: number) => Promise<FlightColumns>;

/** Caches the last row group: a month begins in the group in which the previous one ended. */
function rememberingLast(read: ReadColumns): ReadColumns {
  let last: { readonly firstRow: number; readonly columns: Promise<FlightColumns> } | undefined;
  return (firstRow, rows) => {
    if (last?.firstRow !== firstRow) last = { firstRow, columns: read(firstRow, rows) };
    return last.columns;
  };
}

function spanOf(group: FileMetaData['row_groups'][number]): { from: bigint; to: bigint } {
  const date = group.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === 'date');
  const { min_value: from, max_value: to } = date?.meta_data?.statistics ?? {};
  if (typeof from === 'bigint' && typeof to === 'bigint') return { from, to };
  throw new Error('the file of the flights does not tell the span of their dates');
}

async function readColumns(
  file: AsyncBuffer,
  metadata: FileMetaData,
  rowStart: number,
  rows: number,
): Promise<FlightColumns> {
  const columns: Record<string, DecodedArray> = {};
  await parquetRead({
    file,
    metadata,
    compressors,
    parsers,
    rowStart,
    rowEnd: rowStart + rows,
    onChunk: ({ columnName, columnData }) => (columns[columnName] = columnData),
  });
  return {
    date: wholeColumn(columns['date'], rows),
    delay: wholeColumn(columns['delay'], rows),
    distance: wholeColumn(columns['distance'], rows),
    origin: wholeColumn(columns['origin'], rows),
    destination: wholeColumn(columns['destination'], rows),
  };
}

/** Checks that the column is complete: of several pages only the last is kept; this file has one per row group. */
function wholeColumn<Value>(data: DecodedArray | undefined, rows: number): Value[] {
  if (Array.isArray(data) && data.length === rows) return data;
  throw new Error(`expected a column of ${rows} flights in one page, found ${data?.length ?? 'none'}`);
}
