import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, Context } from '@temporalio/activity';
import { expect, test } from 'vitest';
import type { CopyChunksRequest } from '../../src/contract/chunks.ts';
import type { HoldSnapshotRequest } from '../../src/contract/snapshot.ts';
import { planOf, signalSnapshot, untilCancelled, withFakes } from '../setup/fake-run.ts';
import { withResolvers } from '../setup/with-resolvers.ts';

/** Holders that die when the test says so, and copies that wait for the test. */
class Stage {
  readonly taken: (string | undefined)[] = [];
  readonly copiedOn: (string | undefined)[] = [];
  readonly dead = new Set<string>();
  plans = 0;
  release = false;

  readonly activities = {
    planExtraction: async () => planOf(3, String((this.plans += 1))),
    holdSnapshot: async ({ holder, from }: HoldSnapshotRequest) => {
      this.taken.push(from?.snapshot.id);
      const id = `snapshot ${this.taken.length}`;
      await signalSnapshot(holder, id);
      await Promise.race([untilCancelled(), this.#untilDead(id)]);
    },
    copyChunks: async ({ count, snapshot }: CopyChunksRequest) => {
      const id = snapshot?.id ?? '';
      if (this.dead.has(id)) throw ApplicationFailure.nonRetryable('does not exist', 'SnapshotLost');
      while (!this.release) {
        Context.current().heartbeat();
        await Context.current().sleep(100);
      }
      this.copiedOn.push(id);
      return { rows: count, bytes: count };
    },
  };

  async #untilDead(id: string): Promise<never> {
    while (!this.dead.has(id)) await Context.current().sleep(50);
    throw ApplicationFailure.nonRetryable('the session ended', 'SnapshotLost');
  }
}

test('the loss of one of two holders costs nothing: the other lends the same snapshot, and a third holds on to it', async () => {
  const stage = new Stage();
  await withFakes(stage.activities, { table: 'orders', parallelism: 1 }, async (handle) => {
    await expect.poll(() => stage.taken, { timeout: 60_000 }).toEqual([undefined, 'snapshot 1']);
    stage.dead.add('snapshot 1');
    await expect
      .poll(() => stage.taken, { timeout: 60_000 })
      .toEqual([undefined, 'snapshot 1', 'snapshot 2']);
    stage.release = true;
    expect(await handle.result()).toMatchObject({ restarts: 0 });
    expect(stage.plans).toBe(1);
    expect(stage.copiedOn).toEqual(['snapshot 1', 'snapshot 2']);
  });
});

test('a holder whose worker was asked to stop is replaced at once, and then let go', async () => {
  const left: string[] = [];
  /** What was let go before another held it. */
  const leftBefore: string[] = [];
  const { activities } = new Stage();
  const holdSnapshot = async (request: HoldSnapshotRequest) => {
    const { holder, from } = request;
    const id = from === undefined ? 'snapshot 1' : 'snapshot 2';
    if (from?.snapshot.id === 'snapshot 1') {
      await sleep(500);
      leftBefore.push(...left);
    }
    await signalSnapshot(holder, id);
    if (from === undefined) await signalSnapshot(holder, id, { leaving: true });
    await untilCancelled().catch((error: unknown) => {
      left.push(id);
      throw error;
    });
  };
  const copiedOn: (string | undefined)[] = [];
  const copyChunks = async ({ count, snapshot }: CopyChunksRequest) => {
    while (left.length === 0) {
      Context.current().heartbeat();
      await Context.current().sleep(50);
    }
    copiedOn.push(snapshot?.id);
    return { rows: count, bytes: count };
  };
  const fakes = { ...activities, holdSnapshot, copyChunks };
  await withFakes(fakes, { table: 'orders', parallelism: 1 }, async (handle) => {
    expect(await handle.result()).toMatchObject({ restarts: 0 });
    expect(leftBefore).toEqual([]);
    expect(left[0]).toBe('snapshot 1');
    expect(copiedOn.at(-1)).toBe('snapshot 2');
  });
});

test(
  'holders whose workers are asked to stop one right after the other hand the snapshot on within their grace',
  { tags: 'long' },
  async () => {
    const { activities } = new Stage();
    const held: string[] = [];
    const holdSnapshot = async ({ holder }: HoldSnapshotRequest) => {
      held.push(holder);
      const id = `snapshot ${held.length}`;
      const stays = held.length > 2;
      await signalSnapshot(holder, id);
      if (stays) return untilCancelled();
      await signalSnapshot(holder, id, { leaving: true });
      // as at the end of the grace period
      const lost = sleep(3_000).then(() => {
        throw ApplicationFailure.nonRetryable('the worker is gone', 'SnapshotLost');
      });
      return Promise.race([untilCancelled(), lost]);
    };
    const copyChunks = async ({ count }: CopyChunksRequest) => {
      while (held.length < 3) {
        Context.current().heartbeat();
        await Context.current().sleep(50);
      }
      return { rows: count, bytes: count };
    };
    const fakes = { ...activities, holdSnapshot, copyChunks };
    await withFakes(fakes, { table: 'orders', parallelism: 1 }, async (handle) => {
      expect(await handle.result()).toMatchObject({ restarts: 0 });
    });
  },
);

test('a second holder that cannot begin is tried again less and less often', { tags: 'long' }, async () => {
  const stage = new Stage();
  const triedAt: number[] = [];
  const holdSnapshot = async (request: HoldSnapshotRequest) => {
    if (request.from === undefined) return stage.activities.holdSnapshot(request);
    triedAt.push(Date.now());
    throw ApplicationFailure.nonRetryable('the password has changed', 'AuthenticationFailed');
  };
  const activities = { ...stage.activities, holdSnapshot };
  await withFakes(activities, { table: 'orders', parallelism: 1 }, async (handle) => {
    await expect.poll(() => triedAt.length, { timeout: 60_000 }).toBe(3);
    stage.release = true;
    expect(await handle.result()).toMatchObject({ restarts: 0 });
    const [first = 0, second = 0, third = 0] = triedAt;
    expect(third - second).toBeGreaterThan(1.5 * (second - first));
  });
});

test(
  'a holder that is started anew, and takes another snapshot, is let go, and the other lends the first',
  { tags: 'long' },
  async () => {
    const stage = new Stage();
    const letGo = withResolvers();
    const holdSnapshot = async (request: HoldSnapshotRequest) => {
      if (request.from !== undefined) return stage.activities.holdSnapshot(request);
      stage.taken.push(undefined);
      await signalSnapshot(request.holder, 'snapshot 1');
      while (stage.taken.length === 1) {
        Context.current().heartbeat();
        await Context.current().sleep(50);
      }
      await sleep(500); // until the run has heard of the second
      await signalSnapshot(request.holder, 'another', { takenAt: '2026-01-02T00:00:00Z' });
      await untilCancelled().finally(letGo.resolve);
    };
    const activities = { ...stage.activities, holdSnapshot };
    await withFakes(activities, { table: 'orders', parallelism: 1 }, async (handle) => {
      await letGo.promise;
      stage.dead.add('another');
      stage.release = true;
      expect(await handle.result()).toMatchObject({ restarts: 0 });
      expect(stage.copiedOn).toEqual(['snapshot 1', 'snapshot 2']);
    });
  },
);

test(
  'while a second holder begins and the first is lost no other snapshot is taken in its place',
  { tags: 'long' },
  async () => {
    const { activities } = new Stage();
    const taken: (string | undefined)[] = [];
    const planned: number[] = [];
    const planExtraction = async () => {
      planned.push(taken.length);
      return planOf(3, String(planned.length));
    };
    const holdSnapshot = async ({ holder, from }: HoldSnapshotRequest) => {
      taken.push(from?.snapshot.id);
      if (from !== undefined) {
        // for longer than the run waits before it looks for another holder
        await Context.current().sleep(7_000);
        throw ApplicationFailure.nonRetryable('does not exist', 'SnapshotLost');
      }
      const isLast = taken.length > 1;
      await signalSnapshot(holder, `snapshot ${taken.length}`, isLast ? {} : { leaving: true });
      if (isLast) await untilCancelled();
      await Context.current().sleep(500);
      throw ApplicationFailure.nonRetryable('the session ended', 'SnapshotLost');
    };
    const copyChunks = async ({ count }: CopyChunksRequest) => {
      while (planned.length < 2) {
        Context.current().heartbeat();
        await Context.current().sleep(50);
      }
      return { rows: count, bytes: count };
    };
    const fakes = { ...activities, planExtraction, holdSnapshot, copyChunks };
    await withFakes(fakes, { table: 'orders', parallelism: 1 }, async (handle) => {
      expect(await handle.result()).toMatchObject({ restarts: 1 });
      // what had been copied would be of another moment
      expect({ taken, planned }).toEqual({ taken: [undefined, 'snapshot 1', undefined], planned: [0, 2] });
    });
  },
);

test('the snapshot is let go when all is copied, while the commit may wait for readers', async () => {
  const stage = new Stage();
  stage.release = true;
  const held = new Set<string>();
  const idle: (number | undefined)[] = [];
  const holdSnapshot = async ({ holder, idleTimeout }: HoldSnapshotRequest) => {
    held.add(holder);
    idle.push(idleTimeout);
    await signalSnapshot(holder, 'snapshot 1');
    await untilCancelled().finally(() => held.delete(holder));
  };
  const commitBronze = async () => {
    for (let looks = 0; held.size > 0 && looks < 400; looks += 1) {
      Context.current().heartbeat();
      await sleep(50);
    }
    return { outcome: 'committed', rows: 0, bytes: 0, warnings: [...held] } as const;
  };
  const fakes = { ...stage.activities, holdSnapshot, commitBronze };
  await withFakes(fakes, { table: 'orders', idleTimeout: '10 minutes' }, async (handle) => {
    expect(await handle.result()).toMatchObject({ warnings: [] });
    // its session may be idle for as long as those of copies
    expect(idle).toEqual([600_000]);
  });
});

test('a short run has one holder only, and already two chunks need it', async () => {
  const stage = new Stage();
  stage.release = true;
  const fakes = { ...stage.activities, planExtraction: async () => planOf(2) };
  await withFakes(fakes, { table: 'orders' }, async (handle) => {
    await handle.result();
    expect(stage.taken).toEqual([undefined]);
  });
});
