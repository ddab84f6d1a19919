import { commandName } from '../local/temporal-command.ts';
import type { Stage } from './stage.ts';
import { suggestions } from './suggestions.ts';
import type { Screen } from './terminal/screen.ts';

/** Shows where to look, and commands to try. */
export function showWhatNext({ stack, taskQueue }: Stage, screen: Screen): void {
  screen.heading('Try it yourself, in another terminal');
  for (const { what, command } of suggestions(commandName(stack.temporal?.cli), stack, taskQueue)) {
    screen.print(screen.paint('dim', `  # ${what}`), ...command.split('\n').map((line) => `  ${line}`));
  }
  if (stack.temporal?.uiUrl !== undefined) {
    screen.heading('The runs, in the Web UI');
    screen.print(`  ${stack.temporal.uiUrl}`);
  }
}
