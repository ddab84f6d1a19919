import { log } from '@temporalio/activity';
import { readCapture, recordStreaming } from '../bronze/cdc/positions.ts';
import type {
  BeginStreamingRequest,
  CapturedTable,
  ChangeTablesRequest,
  DropRequest,
  PreparedCapture,
  PrepareCaptureRequest,
} from '../contract/capture-activities.ts';
import type { DropCaptureResult } from '../contract/capture-changes.ts';
import { changeTables as change } from '../capture/change-tables.ts';
import { dropCapture as drop } from '../capture/drop-capture.ts';
import { prepareCapture as prepare } from '../capture/prepare-capture.ts';
import type { Dependencies } from './dependencies.ts';
import { mayBeRunning } from './other-runs.ts';
import { runActivity } from './run-activity.ts';

export async function prepareCapture(
  { warehouse, ready, sourceNamed, searchAttributesKnown }: Dependencies,
  request: PrepareCaptureRequest,
): Promise<PreparedCapture> {
  const { slot, source } = request.input;
  return runActivity(`preparing the capture of slot "${slot}"`, async ({ signal, attempt }) => {
    const database = sourceNamed(source);
    await ready();
    const prepared = await prepare(request, {
      warehouse,
      source: database,
      signal,
      attempt,
      mayBeRunning,
    });
    log.info('prepared a capture', {
      slot,
      captureId: prepared.captureId,
      outcome: prepared.outcome,
      tables: prepared.tables.length,
    });
    return { ...prepared, searchAttributes: await searchAttributesKnown() };
  });
}

export async function beginStreaming(
  { warehouse, ready }: Dependencies,
  { runId, ...reference }: BeginStreamingRequest,
): Promise<void> {
  await runActivity('ending the first copy', async ({ signal, attempt }) => {
    await ready();
    const limits = { run: runId, signal, attempt };
    await warehouse.write(limits, async (session) => {
      const { captureId } = await readCapture(session, reference);
      await recordStreaming(session, captureId);
    });
  });
}

export async function changeTables(
  { warehouse, ready, sourceNamed }: Dependencies,
  request: ChangeTablesRequest,
): Promise<readonly CapturedTable[]> {
  const purpose =
    request.change === 'add' ? 'adding tables to the capture' : 'removing tables from the capture';
  return runActivity(purpose, async ({ signal, attempt }) => {
    await ready();
    const source = sourceNamed(request.input.source);
    const tables = await change(request, { warehouse, source, signal, attempt });
    log.info('changed the tables of a capture', { slot: request.input.slot, tables: tables.length });
    return tables;
  });
}

export async function dropCapture(
  { warehouse, ready, sourceNamed }: Dependencies,
  { runId, workflowId: _workflowId, sourceGone, ...target }: DropRequest,
): Promise<DropCaptureResult> {
  return runActivity(`dropping the capture of slot "${target.slot}"`, async ({ signal, attempt }) => {
    await ready();
    const source = sourceGone === true ? undefined : sourceNamed(target.source);
    const dropped = await drop(target, runId, { warehouse, source, signal, attempt });
    log.info('dropped a capture', { name: target.slot, ...dropped });
    return dropped;
  });
}
