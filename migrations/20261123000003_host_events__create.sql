CREATE TABLE IF NOT EXISTS host_events (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  kind VARCHAR(32) CHARACTER SET ascii NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sentence VARCHAR(1000) NOT NULL,
  reason VARCHAR(2000) NULL,
  PRIMARY KEY (id),
  KEY host_id_at (host_id, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
