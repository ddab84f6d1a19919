import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchmarkNames } from '../../bench/names.ts';
import { allPeers } from '../../bench/peers/all-peers.ts';
import { render, renderSummary, renderVersions } from '../../bench/render.ts';
import type { Results } from '../../bench/result.ts';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import type { GeneratedTable } from './generated-tables.ts';

/** Written by `npm run bench -- --json bench/results/performance.json`. */
const RESULTS = 'bench/results/performance.json';
/** The tables of the performance document, rendered from measured results. */
export const benchTables: readonly GeneratedTable[] = [
  ...Object.keys(benchmarkNames).map((name) => benchTable(name, () => sectionText(name))),
  benchTable('summary', () => renderSummary(results())),
  benchTable('versions', () =>
    renderVersions(results(), Object.fromEntries(allPeers.map(({ name, about }) => [name, about]))),
  ),
];

function benchTable(name: string, text: () => string): GeneratedTable {
  return {
    name: `bench ${name}`,
    file: 'docs/performance.md',
    // Prettier would pad each cell to the widest in its column
    text: () => `<!-- prettier-ignore-start -->\n\n${text()}\n\n<!-- prettier-ignore-end -->`,
  };
}

function results(): Results {
  return JSON.parse(readFileSync(join(PROJECT_ROOT, RESULTS), 'utf8')) as Results;
}

function sectionText(name: string): string {
  const section = results()[name];
  return section === undefined
    ? `Not measured yet: \`npm run bench -- --only ${name}\`.`
    : render(section, section.circumstances);
}
