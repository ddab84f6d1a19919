import { oddNamesSuite } from './odd-names-suite.ts';

/** Combines several kinds of names where possible; the long suite has each by itself. */
oddNamesSuite([
  ['quotes, dots, spaces and upper case', ' Say "hi" it\'s a.b..c '],
  ['63 bytes of Unicode', '表'.repeat(21)],
  ['Unicode and characters of Markdown', 'größe_表_🙂 **a** | `b` <b>'],
  ['a reserved word', 'select'],
  ['percent signs, a parameter, a question mark, a dollar quote', '100%s %I % $1 what? $$'],
  ['an end of everything', '"; DROP TABLE x; --'],
  ['a backslash and a line break', 'a\\b\\\nb\tc'],
]);
