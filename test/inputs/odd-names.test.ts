import { oddNamesSuite } from './odd-names-suite.ts';

/** Combines several kinds of names where possible; the long suite has each by itself. */
oddNamesSuite([
  ['quotes, dots, spaces and upper case', ' Say "hi" it\'s a.b..c '],
  ['63 bytes of Unicode', '表'.repeat(21)],
  [
    'percent signs, a parameter, a dollar quote, an end of everything',
    '100%s %I % $1 $$ "; DROP TABLE x; --',
  ],
]);
