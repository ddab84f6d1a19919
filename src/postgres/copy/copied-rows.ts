/** Returns how many rows a COPY transferred, as the server reports at its end. */
export function copiedRows({ text }: { readonly text: string }): number {
  return Number(/^COPY (\d+)/.exec(text)?.[1] ?? 0);
}
