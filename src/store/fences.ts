// The fence agent of each host: its program, parameters and sealed secrets. Read only where a host is switched, and by the
// form that sets it.
import { columnToJson, jsonToColumn } from './columns.ts';
import type { Db } from './db.ts';

export interface Fence {
  readonly agent: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** opened by fencing/secret-box.ts; null: it has none */
  readonly sealed: Buffer | null;
}

/** undefined: the host has no agent, or is gone. */
export async function selectOptionalFence(db: Db, hostId: string): Promise<Fence | undefined> {
  const [row] = await db.query<{ fence_agent: string | null; fence_parameters: Buffer | null; fence_secret: Buffer | null }>(
    'SELECT fence_agent, fence_parameters, fence_secret FROM hosts WHERE id = ?', [hostId],
  );
  if (row === undefined || row.fence_agent === null) return undefined;
  return { agent: row.fence_agent, parameters: row.fence_parameters === null ? {} : columnToJson(row.fence_parameters), sealed: row.fence_secret };
}

/** null takes it away. false: the host is gone. */
export async function updateFence(db: Db, hostId: string, fence: Fence | null): Promise<boolean> {
  const { affectedRows } = await db.execute(
    'UPDATE hosts SET fence_agent = ?, fence_parameters = ?, fence_secret = ? WHERE id = ?',
    fence === null ? [null, null, null, hostId] : [fence.agent, jsonToColumn(fence.parameters), fence.sealed, hostId],
  );
  return affectedRows === 1;
}

/** Bytes that the columns hold. */
export const fenceLimits = { parameters: 4000, sealed: 2000 } as const;
