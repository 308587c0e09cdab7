CREATE TABLE IF NOT EXISTS recoveries (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_name VARCHAR(64) CHARACTER SET ascii NOT NULL,
  state VARCHAR(24) CHARACTER SET ascii NOT NULL,
  drill TINYINT NOT NULL DEFAULT 0,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  seen_at BIGINT NULL,
  noticed_at BIGINT NOT NULL,
  proven_at BIGINT NULL,
  proof VARCHAR(16) CHARACTER SET ascii NULL,
  ended_at BIGINT NULL,
  report VARBINARY(16000) NOT NULL,
  PRIMARY KEY (id),
  KEY host_id_noticed_at (host_id, noticed_at),
  KEY state (state)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
