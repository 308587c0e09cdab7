CREATE TABLE IF NOT EXISTS incident_events (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  incident_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sentence VARCHAR(2000) NULL,
  note VARCHAR(500) NULL,
  PRIMARY KEY (id),
  KEY incident_id_at (incident_id, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
