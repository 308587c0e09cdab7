CREATE TABLE IF NOT EXISTS operation_steps (
  operation_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  position INT NOT NULL,
  name VARCHAR(32) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  started_at BIGINT NULL,
  ended_at BIGINT NULL,
  error VARCHAR(2000) NULL,
  PRIMARY KEY (operation_id, position)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
