CREATE TABLE IF NOT EXISTS burn_ins (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  report VARBINARY(8000) NOT NULL,
  PRIMARY KEY (id),
  KEY host_id_started_at (host_id, started_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
