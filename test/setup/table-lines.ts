/** Returns the lines of the tables of a Markdown text, without the spaces that keep columns apart. */
export const tableLines = (markdown: string): string[] =>
  markdown
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.replaceAll('\u00a0\u00a0 |', ' |').replaceAll('\u00a0', ' '));
