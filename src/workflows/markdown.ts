/** Not broken between lines, nor left out where Markdown is drawn. */
const SPACE = '\u00a0';

/** Escapes what Markdown would interpret in names and messages. */
export const escaped = (text: string): string =>
  text.replaceAll(/[|\\`*_~<[&]/g, '\\$&').replaceAll(/\s+/g, ' ');

/** Renders what there is to say; parts that are empty are left out. */
export function markdownList(items: readonly (readonly string[])[]): string[] {
  const lines = items.map((parts) => parts.filter((part) => part !== '').join(', '));
  return lines.filter((line) => line !== '').map((line) => `- ${line}`);
}

/**
 * Renders a table whose columns are kept apart: the Web UI draws no space between them, and breaks lines wherever there
 * is one.
 *
 * @param headings ending in `:` if the column is aligned to the right, as in Markdown
 */
export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const names = headings.map((heading) => heading.replace(/:$/, ''));
  return [
    row(names),
    `|${headings.map((heading) => (heading.endsWith(':') ? '--:' : ':--')).join('|')}|`,
    ...rows.map(row),
  ];
}

const row = (cells: readonly string[]): string =>
  `| ${cells.map((text) => `${text.replaceAll(' ', SPACE)}${SPACE}${SPACE}`).join(' | ')} |`;
