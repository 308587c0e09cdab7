CREATE TABLE IF NOT EXISTS images (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(80) NOT NULL,
  description VARCHAR(500) NOT NULL,
  pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  volume VARCHAR(255) NOT NULL,
  format VARCHAR(8) CHARACTER SET ascii NOT NULL,
  virtual_size_bytes BIGINT NOT NULL,
  min_memory_mib INT NOT NULL,
  cloud_init TINYINT NOT NULL,
  enabled TINYINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY name (name),
  UNIQUE KEY pool_id_volume (pool_id, volume)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
