CREATE TABLE IF NOT EXISTS notifications (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  at BIGINT NOT NULL,
  content VARBINARY(16000) NOT NULL,
  PRIMARY KEY (id),
  KEY kind_at (kind, at),
  KEY at (at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
