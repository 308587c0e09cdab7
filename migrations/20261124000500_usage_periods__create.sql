CREATE TABLE IF NOT EXISTS usage_periods (
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  opened_at BIGINT NOT NULL,
  closed_at BIGINT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_name VARCHAR(32) CHARACTER SET ascii NOT NULL,
  vcpus INT NOT NULL,
  memory_mib INT NOT NULL,
  disk_gib INT NOT NULL,
  PRIMARY KEY (instance_id, opened_at),
  KEY closed_at (closed_at),
  KEY user_id (user_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
