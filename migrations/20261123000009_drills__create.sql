CREATE TABLE IF NOT EXISTS drills (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_name VARCHAR(64) CHARACTER SET ascii NOT NULL,
  mode VARCHAR(16) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  report VARBINARY(16000) NOT NULL,
  PRIMARY KEY (id),
  KEY started_at (started_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
