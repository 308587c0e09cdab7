CREATE TABLE IF NOT EXISTS alert_rules (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(80) NOT NULL,
  condition_name VARCHAR(40) CHARACTER SET ascii NOT NULL,
  direction VARCHAR(8) CHARACTER SET ascii NOT NULL,
  limit_value DOUBLE NOT NULL,
  clear_value DOUBLE NOT NULL,
  hold_seconds INT NOT NULL,
  scope VARBINARY(8000) NOT NULL,
  severity VARCHAR(16) CHARACTER SET ascii NOT NULL,
  enabled TINYINT NOT NULL,
  quiet_from INT NULL,
  quiet_until INT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
