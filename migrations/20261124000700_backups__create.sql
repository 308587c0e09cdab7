CREATE TABLE IF NOT EXISTS backups (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  -- 'native' (START BACKUP of MySQL Cluster) or 'logical' (a dump)
  kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  begun_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  -- where it lies, in the administrator's words
  place VARCHAR(255) NOT NULL,
  PRIMARY KEY (id),
  KEY backups_ended_at (ended_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
