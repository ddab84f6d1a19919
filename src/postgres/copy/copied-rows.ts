/** How many rows a COPY passed, by what the server says at its end. */
export function copiedRows({ text }: { readonly text: string }): number {
  return Number(/^COPY (\d+)/.exec(text)?.[1] ?? 0);
}
