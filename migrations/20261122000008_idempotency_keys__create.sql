CREATE TABLE IF NOT EXISTS idempotency_keys (
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  idempotency_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  request_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  claim_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  claimed_until BIGINT NOT NULL,
  status INT NULL,
  response VARBINARY(16000) NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, idempotency_key),
  KEY expires_at (expires_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
