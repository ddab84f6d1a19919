import { coloured, plain, type Paint } from './style.ts';

/** The parts of `process.stdout` that are needed. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const DEFAULT_COLUMNS = 100;
const CLEAR_LINE = '\u001b[2K';
const cursorUp = (lines: number) => (lines === 0 ? '' : `\u001b[${lines}A`);

/** Permanent lines, and on a terminal lines below them that are redrawn. */
export class Screen {
  readonly #output: Output;
  /** False in a log, where nothing can be redrawn. */
  readonly interactive: boolean;
  readonly paint: Paint;
  #drawn = 0;
  #muted = false;

  constructor(output: Output, environment: NodeJS.ProcessEnv) {
    this.#output = output;
    this.interactive = output.isTTY === true && environment['TERM'] !== 'dumb';
    this.paint = this.interactive && !environment['NO_COLOR'] ? coloured : plain;
  }

  print(...lines: readonly string[]): void {
    this.settle();
    this.#write(lines.map((line) => `${line}\n`).join(''));
  }

  heading(text: string): void {
    this.print('', this.paint('bold', text));
  }

  /** Replaces what was drawn last; does nothing in a log. */
  draw(lines: readonly string[]): void {
    if (!this.interactive) return;
    const width = (this.#output.columns ?? DEFAULT_COLUMNS) - 1;
    // A line that wraps would occupy two, and the cursor would not go up far enough.
    const text = lines.map((line) => `${CLEAR_LINE}${line.slice(0, width)}\n`).join('');
    this.#write(cursorUp(this.#drawn) + text);
    this.#drawn = lines.length;
  }

  /** Draws for the last time; a log gets these lines only. */
  conclude(lines: readonly string[]): void {
    if (!this.interactive) return this.print(...lines);
    this.draw(lines);
    this.settle();
  }

  /** Keeps what was drawn. */
  settle(): void {
    this.#drawn = 0;
  }

  /** Suppresses further output at the end, when it is of no interest any more. */
  mute(): void {
    this.#muted = true;
  }

  #write(text: string): void {
    if (!this.#muted) this.#output.write(text);
  }
}
