CREATE TABLE IF NOT EXISTS deliveries (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  notification_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  target_kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  target_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  attempts INT NOT NULL DEFAULT 0,
  run_after BIGINT NOT NULL,
  lease_owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  lease_until BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  error VARCHAR(500) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY notification_id_target_id (notification_id, target_id),
  KEY state_run_after (state, run_after),
  KEY created_at (created_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
