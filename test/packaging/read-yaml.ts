import { parsers } from 'prettier/plugins/yaml';

interface YamlNode {
  readonly type: string;
  readonly value?: string;
  readonly children?: readonly (YamlNode | null)[];
}

/**
 * Reads the subset of YAML used in our own files: mappings, sequences and scalars, all of them as text.
 *
 * Uses Prettier's parser, which is available anyway and supports all of YAML; anything else is refused.
 */
export async function readYaml(text: string): Promise<unknown> {
  const parse = parsers.yaml.parse as (text: string, options: object) => YamlNode | Promise<YamlNode>;
  const root = await parse(text, {});
  const bodies = childrenOf(root)
    .flatMap(childrenOf)
    .filter(({ type }) => type === 'documentBody');
  return valueOf(bodies.flatMap(childrenOf)[0]);
}

function valueOf(node: YamlNode | undefined): unknown {
  switch (node?.type) {
    case undefined:
    case 'null':
      return null;
    case 'plain':
    case 'quoteSingle':
    case 'quoteDouble':
      return node?.value;
    case 'sequence':
    case 'flowSequence':
      return childrenOf(node).map((item) => valueOf(childrenOf(item)[0] ?? item));
    case 'mapping':
    case 'flowMapping':
      return Object.fromEntries(childrenOf(node).map(entryOf));
    default:
      throw new Error(`this reader knows no ${node?.type}`);
  }
}

function entryOf(item: YamlNode): [string, unknown] {
  const [key, value] = childrenOf(item);
  return [String(valueOf(childrenOf(key)[0])), valueOf(childrenOf(value)[0])];
}

function childrenOf(node: YamlNode | undefined): YamlNode[] {
  return (node?.children ?? []).filter((child) => child !== null);
}
