CREATE TABLE IF NOT EXISTS suggestions (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  to_host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  why VARCHAR(1000) NOT NULL,
  gain_percent FLOAT NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  operation_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  PRIMARY KEY (id),
  KEY state_created_at (state, created_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
