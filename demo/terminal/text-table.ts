export interface TextColumn {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

const GAP = '  ';

/** Returns a table with a line below its titles, indented like the rest of the output. */
export function textTable(columns: readonly TextColumn[], rows: readonly (readonly string[])[]): string[] {
  const titles = columns.map(({ title }) => title);
  const widths = titles.map((title, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `${GAP}${cells.map(aligned(columns, widths)).join(GAP)}`.trimEnd();
  const rule = widths.map((width) => '─'.repeat(width));
  return [line(titles), line(rule), ...rows.map(line)];
}

function aligned(columns: readonly TextColumn[], widths: readonly number[]) {
  return (cell: string, index: number): string => {
    const width = widths[index] ?? 0;
    return columns[index]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width);
  };
}
