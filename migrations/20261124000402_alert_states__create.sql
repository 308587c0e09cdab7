CREATE TABLE IF NOT EXISTS alert_states (
  rule_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  phase VARCHAR(8) CHARACTER SET ascii NOT NULL,
  since BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  incident_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (rule_id, subject_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
