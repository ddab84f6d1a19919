// @module-tag long
import { oddNamesSuite } from './odd-names-suite.ts';

oddNamesSuite([
  ['quotes', 'say "hi" it\'s'],
  ['dots', 'a.b..c'],
  ['spaces', ' order  lines '],
  ['upper case', 'OrderLines'],
  ['63 bytes', 'x'.repeat(63)],
  ['63 bytes of Unicode', '表'.repeat(21)],
  ['Unicode', 'größe_表_🙂'],
  ['a reserved word', 'select'],
  ['a percent sign', '100%s %I %'],
  ['a parameter', '$1'],
  ['a question mark', 'what?'],
  ['an end of everything', '"; DROP TABLE x; --'],
  ['a backslash', 'a\\b\\'],
  ['a dollar quote', '$$'],
  ['a line break', 'a\nb\tc'],
  ['characters of Markdown', '**a** | `b` <b>'],
]);
