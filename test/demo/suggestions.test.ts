import { expect, test } from 'vitest';
import { extractTableInput } from '../../src/contract/extract-table.ts';
import { suggestions } from '../../demo/suggestions.ts';

const commands = (cli: string, temporalAddress: string, temporalNamespace = 'default') =>
  suggestions(cli, { temporalAddress, temporalNamespace }, 'queue').map(({ command }) => command);

test('address and namespace are named only where they are not the usual ones', () => {
  expect(commands('temporal', '127.0.0.1:7233').join()).not.toMatch(/--address|--namespace/);
  for (const command of commands('temporal', '127.0.0.1:7234', 'demo')) {
    expect(command).toContain('--address 127.0.0.1:7234 --namespace demo');
  }
});

test('the suggested input is one that the workflow takes', () => {
  const [command = ''] = commands('temporal', '127.0.0.1:7233');
  const input = /--input '(.*)'$/.exec(command)?.[1] ?? '';
  expect(extractTableInput.parse(JSON.parse(input))).toMatchObject({ where: 'delay > 120' });
});
