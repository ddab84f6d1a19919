import type { Column } from '../../postgres/catalog/columns.ts';
import type { IncrementalContext } from './plan-increment.ts';

type Read = Pick<IncrementalContext, 'table' | 'partitions'>;

/** Returns true if other tables inherit from an ordinary one, and are read with it. */
export const hasHeirs = ({ table, partitions }: Read): boolean =>
  table.kind === 'table' && partitions.length > 1;

/** Returns true if rows may have NULL in a column: heirs may where their parent may not. */
export const mayBeNull = ({ nullable }: Column, read: Read): boolean => nullable || hasHeirs(read);
