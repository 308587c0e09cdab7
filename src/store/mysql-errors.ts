// What errors of MySQL, MariaDB, MySQL Cluster and mysql2 mean for whoever has to go on.

// 1205 lock wait, 1213 deadlock, 1297 NDB temporary, 4350 two wrote the same new row of a unique key to NDB, 1040 and 1203 too
// many connections, 1412 another SQL node has just added a column: nothing was done, the whole transaction is run again.
const temporaryErrnos = new Set([1040, 1203, 1205, 1213, 1297, 1412, 4350]);
// The server went away (1053, 1927, 2006, 2013, 4031), or it lost the data nodes and what it had under way there (157, 4008,
// 4009, 4012), or has not found them again (1036: its tables are read-only until then): this SQL node is of no use now.
const lostErrnos = new Set([157, 1036, 1053, 1927, 2006, 2013, 4008, 4009, 4012, 4031]);
const lostCodes = new Set([
  'PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'EPIPE', 'ECONNREFUSED', 'ENOENT', 'ETIMEDOUT',
  'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EAI_AGAIN', 'ER_SERVER_SHUTDOWN',
]);
// Errors of NDB that the server has no number for: their own stands in the words, "Got error 4350 '…' from NDBCLUSTER".
const wrappingErrnos = new Set([1030, 1296, 1297]);

/** The number of the error, NDB's own where it has one that matters here. */
export function errnoOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') return undefined;
  const [, text] = (wrappingErrnos.has(error.errno) && /^Got (?:temporary )?error (\d+) /.exec(error.message)) || [];
  const wrapped = Number(text);
  if (text === undefined || (error.errno === 1297 && !lostErrnos.has(wrapped))) return error.errno;
  return wrapped;
}

/** The SQL node is gone or cut off from its data: what was sent and not answered may have been done or not. */
export function isNodeLost(error: unknown): boolean {
  const errno = errnoOf(error);
  if (errno !== undefined && errno > 0) return lostErrnos.has(errno);
  if (typeof error !== 'object' || error === null) return false;
  // mysql2's own, without a code: the connection ended since its last statement, in the middle of a transaction
  if (!('code' in error)) return 'fatal' in error && error.fatal === true;
  return typeof error.code === 'string' && lostCodes.has(error.code);
}

/** Nothing was done, and the same may work at the next try. */
export function isTemporary(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno !== undefined && temporaryErrnos.has(errno);
}
