CREATE TABLE IF NOT EXISTS instance_events (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sentence VARCHAR(1000) NOT NULL,
  reason VARCHAR(2000) NULL,
  PRIMARY KEY (id),
  KEY instance_id_at (instance_id, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
