import { delimiter, dirname, isAbsolute, relative } from 'node:path';

interface Server {
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
}

/** Returns the options that differ from the defaults of the `temporal` command line. */
export function serverOptions({ temporalAddress, temporalNamespace }: Server): string[] {
  return [
    ...(isUsual(temporalAddress) ? [] : [`--address ${temporalAddress}`]),
    ...(temporalNamespace === 'default' ? [] : [`--namespace ${temporalNamespace}`]),
  ];
}

/**
 * Returns what a POSIX shell must be told so that the commands of the docs work in it.
 *
 * @param cli the `temporal` executable, if we know one
 */
export function shellSettings({ temporalAddress, temporalNamespace }: Server, cli?: string): string[] {
  return [
    ...(isUsual(temporalAddress) ? [] : [`export TEMPORAL_ADDRESS=${shellWord(temporalAddress)}`]),
    ...(temporalNamespace === 'default' ? [] : [`export TEMPORAL_NAMESPACE=${shellWord(temporalNamespace)}`]),
    ...(cli === undefined || isOnPath(cli) ? [] : [`export PATH="$PATH":${shellWord(dirname(cli))}`]),
  ];
}

/** Returns `temporal` if the shell finds it, otherwise a path relative to the working directory if possible. */
export function commandName(cli: string | undefined): string {
  if (cli === undefined || isOnPath(cli)) return 'temporal';
  const fromHere = relative(process.cwd(), cli);
  return shellWord(fromHere.startsWith('..') || isAbsolute(fromHere) ? cli : `./${fromHere}`);
}

export function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

const isUsual = (address: string): boolean => ['127.0.0.1:7233', 'localhost:7233'].includes(address);

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).includes(dirname(program));
}
