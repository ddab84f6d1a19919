import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { render } from '../../bench/render.ts';
import type { Results } from '../../bench/result.ts';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import type { GeneratedTable } from './generated-tables.ts';

/** Written by `npm run bench -- --json bench/results/performance.json`. */
const RESULTS = 'bench/results/performance.json';
const sections = [
  'peers',
  'types',
  'readers',
  'shapes',
  'scaling',
  'growth',
  'pandas',
  'increments',
  'limits',
];

/** The tables of the document about performance, from results that were measured. */
export const benchTables: readonly GeneratedTable[] = sections.map((name) => ({
  name: `bench ${name}`,
  file: 'docs/performance.md',
  text: () => sectionText(name),
}));

function sectionText(name: string): string {
  const results = JSON.parse(readFileSync(join(PROJECT_ROOT, RESULTS), 'utf8')) as Results;
  const section = results[name];
  // Prettier would write each cell as wide as the widest of its column
  const text =
    section === undefined
      ? `Not measured yet: \`npm run bench -- --only ${name}\`.`
      : render(section, section.circumstances);
  return `<!-- prettier-ignore-start -->\n\n${text}\n\n<!-- prettier-ignore-end -->`;
}
