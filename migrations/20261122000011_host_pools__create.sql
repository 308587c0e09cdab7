CREATE TABLE IF NOT EXISTS host_pools (
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (host_id, pool_id),
  KEY pool_id (pool_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
