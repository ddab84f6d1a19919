import { commandName } from '../local/temporal-command.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { EXAMPLE_QUERY, runExample } from './example-query.ts';
import type { Stage } from './stage.ts';
import { suggestions } from './suggestions.ts';
import type { Screen } from './terminal/screen.ts';
import { textTable } from './terminal/text-table.ts';
import { withClient } from './with-client.ts';

/** Shows where to look, and commands to try. */
export async function showWhatNext({ stack, taskQueue }: Stage, screen: Screen): Promise<void> {
  screen.heading('A query over bronze');
  screen.print(`  psql '${stack.warehouseUrl}'`, '', ...indented(EXAMPLE_QUERY), '');
  screen.draw(['  running …']);
  const began = performance.now();
  const { columns, rows } = await withClient(stack.warehouseUrl, runExample);
  screen.conclude([`  took ${formatDuration(performance.now() - began)}`]);
  screen.print('', ...textTable(columns, rows));
  screen.heading('Try it yourself, in another terminal');
  for (const { what, command } of suggestions(commandName(stack.temporal?.cli), stack, taskQueue)) {
    screen.print(screen.paint('dim', `  # ${what}`), ...indented(command));
  }
  if (stack.temporal?.uiUrl !== undefined) {
    screen.heading('The runs, in the Web UI');
    screen.print(`  ${stack.temporal.uiUrl}`);
  }
}

function indented(text: string): string[] {
  return text.split('\n').map((line) => `  ${line}`);
}
