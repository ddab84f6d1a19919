import { PARTITION } from '../../bronze/layout.ts';
import type { ExtractionPlan, PlannedColumn, PlannedPartition } from '../../bronze/plan.ts';
import type { SourceTypes } from '../../bronze/schema/type-mapping.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { formatWithin } from '../../contract/table-name.ts';
import type { Catalog } from '../../postgres/catalog/catalog.ts';
import { hasPartitions, type PartitionTree } from '../../postgres/catalog/partition-tree.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import type { Session } from '../../postgres/session.ts';
import { digestTree } from '../plan/plan-checks.ts';
import { findReplaced, planReplacement } from './plan-replacement.ts';
import { findRequested, type RequestedPartition } from './requested-partitions.ts';
import { digestReading, isUnchanged, NO_EVIDENCE, readEvidence } from './unchanged-partitions.ts';

/** The partition that a row came from. The source does not send it, since it is the same for all its rows. */
export const partitionColumn: PlannedColumn = {
  name: PARTITION,
  type: 'text',
  sourceType: 'text',
  decision: 'kept',
  read: 'as is',
  binary: true,
  namesPartition: true,
};

export interface Choosing {
  readonly catalog: Catalog;
  readonly warehouse: Session;
  readonly input: ExtractTableInput;
  readonly target: string;
  readonly tree: PartitionTree;
  readonly planned: readonly PlannedColumn[];
  readonly types: SourceTypes;
  /** Why the source's statistics cannot be trusted; undefined if they can. */
  readonly doubt: string | undefined;
  /** False if the snapshot was taken already: statistics may then include changes that it does not show. */
  readonly isProvable: boolean;
}

export interface PartitionToRead extends Partition, Pick<PlannedPartition, 'filter' | 'evidence'> {}

export interface ChosenPartitions {
  readonly partitions: readonly PartitionToRead[];
  readonly plan: Pick<
    ExtractionPlan,
    'tree' | 'partitioned' | 'skipped' | 'replacement' | 'reading' | 'seenAt' | 'provenFrom'
  >;
  readonly warnings: readonly string[];
}

const NO_PROOF =
  'the source does not say whether it is still the same server (pg_control_system, pg_control_checkpoint, pg_control_recovery, pg_walfile_name)';

/** Decides which partitions a run reads, and what happens to the bronze rows of others. */
export async function choosePartitions(choosing: Choosing): Promise<ChosenPartitions> {
  const { catalog, input, tree, planned, types, isProvable } = choosing;
  const source = catalog.session;
  const requested = await findRequested(source, tree, input.partitions);
  const seenAt = await catalog.now();
  const reading = await digestReading(source, planned, types, input.where);
  const oids = requested.map(({ table }) => table.oid);
  const evidence =
    isProvable && hasPartitions(tree) ? await readEvidence(source, oids, planned, types) : NO_EVIDENCE;
  const doubt = choosing.doubt ?? (evidence === undefined ? NO_PROOF : undefined);
  const replaces = input.write === 'replace-partitions' ? { ...choosing, requested } : undefined;
  const replaced = replaces && (await findReplaced(replaces));
  const label = ({ table }: RequestedPartition) => formatWithin(input.table.schema, table);
  const read = requested.filter(
    (one) =>
      input.onlyChanged !== true ||
      doubt !== undefined ||
      !isUnchanged(replaced?.records.get(label(one)), reading, evidence?.of.get(one.table.oid)),
  );
  const replacement =
    replaces && replaced && (await planReplacement(replaces, replaced, new Set(read.map(label))));
  const filters = new Map(read.map(({ table, filter }) => [table.oid, filter]));
  const partitions = await catalog.partitions([...filters.keys()]);
  return {
    partitions: partitions.map((partition) => {
      const [filter, proof] = [filters.get(partition.oid), evidence?.of.get(partition.oid)];
      return {
        ...partition,
        ...(filter !== undefined && { filter }),
        ...(proof !== undefined && { evidence: proof }),
      };
    }),
    plan: {
      tree: digestTree(tree),
      reading,
      seenAt,
      ...(typeof evidence?.logEnd === 'string' && { provenFrom: evidence.logEnd }),
      ...(hasPartitions(tree) && { partitioned: true }),
      ...((input.partitions !== undefined || input.onlyChanged === true) && {
        skipped: {
          notAskedFor: tree.leaves.length - requested.length,
          unchanged: requested.length - read.length,
        },
      }),
      ...(replacement !== undefined && { replacement }),
    },
    warnings:
      doubt === undefined || input.onlyChanged !== true
        ? []
        : [`"onlyChanged" read all partitions, since ${doubt}.`],
  };
}
