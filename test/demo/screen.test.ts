import { expect, test } from 'vitest';
import { Screen } from '../../demo/terminal/screen.ts';

function record(output: { isTTY?: boolean; columns?: number }, environment: NodeJS.ProcessEnv = {}) {
  const written: string[] = [];
  const screen = new Screen({ ...output, write: (text) => written.push(text) }, environment);
  return { screen, written };
}

test('on a terminal lines are drawn over those before', () => {
  const { screen, written } = record({ isTTY: true, columns: 80 });
  screen.draw(['a', 'b']);
  screen.draw(['c', 'd']);
  expect(written).toEqual(['\u001b[2Ka\n\u001b[2Kb\n', '\u001b[2A\u001b[2Kc\n\u001b[2Kd\n']);
});

test('what was drawn stays when something is printed below', () => {
  const { screen, written } = record({ isTTY: true });
  screen.draw(['a']);
  screen.print('done');
  screen.draw(['b']);
  expect(written.slice(1)).toEqual(['done\n', '\u001b[2Kb\n']);
});

test('the last drawing stays, and is all that a log gets', () => {
  for (const isTTY of [true, false]) {
    const { screen, written } = record({ isTTY });
    screen.draw(['running']);
    screen.conclude(['done']);
    screen.draw(['other']);
    const expected = ['\u001b[2Krunning\n', '\u001b[1A\u001b[2Kdone\n', '\u001b[2Kother\n'];
    expect(written).toEqual(isTTY ? expected : ['done\n']);
  }
});

test('a line longer than the terminal is cut, so that it does not wrap', () => {
  const { screen, written } = record({ isTTY: true, columns: 5 });
  screen.draw(['abcdefgh']);
  expect(written).toEqual(['\u001b[2Kabcd\n']);
});

test('a log gets no drawing and no colours', () => {
  const { screen, written } = record({});
  screen.draw(['a']);
  screen.print(screen.paint('red', 'b'));
  expect(written).toEqual(['b\n']);
});

test('colours can be refused', () => {
  expect(record({ isTTY: true }).screen.paint('green', 'x')).toBe('\u001b[32mx\u001b[39m');
  expect(record({ isTTY: true }, { NO_COLOR: '1' }).screen.paint('green', 'x')).toBe('x');
});

test('a muted screen stays as it is', () => {
  const { screen, written } = record({ isTTY: true });
  screen.mute();
  screen.draw(['a']);
  screen.print('b');
  expect(written).toEqual([]);
});
