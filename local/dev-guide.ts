import type { Finding } from '../src/contract/check-source.ts';
import type { LookedAt } from './look-at-databases.ts';
import type { LocalStack } from './stack.ts';
import { shellSettings, shellWord } from './temporal-command.ts';

export interface DevGuide {
  readonly stack: Pick<
    LocalStack,
    'temporal' | 'temporalAddress' | 'temporalNamespace' | 'warehouse' | 'warehouseUrl'
  >;
  readonly taskQueue: string;
  /** The `temporal` executable, if there is one. */
  readonly cli: string | undefined;
  /** Undefined if the databases could not be looked at, which the worker says too. */
  readonly found: LookedAt | undefined;
}

/** Returns what `npm run dev` says once the worker is ready: where everything is, and what to try. */
export function devGuide({ stack, taskQueue, cli, found }: DevGuide): string {
  const { temporal, temporalAddress, temporalNamespace, warehouse } = stack;
  const settings = shellSettings(stack, cli);
  return [
    '',
    `Temporal    ${temporalAddress}, namespace ${temporalNamespace}`,
    `Task queue  ${taskQueue}`,
    ...(temporal?.uiUrl === undefined ? [] : [`Web UI      ${temporal.uiUrl}`]),
    ...(warehouse === undefined
      ? []
      : [`Warehouse   ${stack.warehouseUrl}  (temporary: it is deleted when this ends)`]),
    ...(found?.problems ?? []).flatMap(told),
    ...(settings.length === 0
      ? []
      : ['', 'In another terminal, so that the commands of the docs work there:', ...settings.map(indented)]),
    '',
    ...suggestion(found?.table, taskQueue),
    '',
    'Ctrl-C stops everything.',
    '',
  ].join('\n');
}

const told = ({ check, found, advice }: Finding): string[] => [
  '',
  `PROBLEM  ${check}: ${found}`,
  `  → ${advice}`,
];

function suggestion(table: string | undefined, taskQueue: string): string[] {
  if (table === undefined) return ['No table was found in the source that its role can read.'];
  const id = shellWord(`dev-${table}`);
  return [
    'Extract a table, and see what became of it:',
    `temporal workflow start --task-queue ${shellWord(taskQueue)} --type extractTable \\`,
    `  --workflow-id ${id} --input ${shellWord(JSON.stringify({ table }))}`,
    `temporal workflow result --workflow-id ${id}`,
  ].map((line, index) => (index === 0 ? line : indented(line)));
}

const indented = (line: string): string => `  ${line}`;
