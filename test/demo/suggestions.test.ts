import { expect, test } from 'vitest';
import { extractTableInput } from '../../src/contract/extract-table.ts';
import { suggestions } from '../../demo/suggestions.ts';

test('the address is named only where it is not the usual one', () => {
  const commands = (address: string) =>
    suggestions('temporal', address, 'queue').map(({ command }) => command);
  expect(commands('127.0.0.1:7233').join()).not.toContain('--address');
  for (const command of commands('127.0.0.1:7234')) expect(command).toContain('--address 127.0.0.1:7234');
});

test('the suggested input is one that the workflow takes', () => {
  const command = suggestions('temporal', '127.0.0.1:7233', 'queue')[0]?.command ?? '';
  const input = /--input '(.*)'/.exec(command)?.[1] ?? '';
  expect(extractTableInput.parse(JSON.parse(input))).toMatchObject({ where: 'delay > 120' });
});

test('a path with a space is quoted for the shell', () => {
  expect(suggestions('/my tools/temporal', '127.0.0.1:7233', 'queue')[1]?.command).toMatch(
    /^'\/my tools\/temporal' /,
  );
});
