CREATE TABLE IF NOT EXISTS host_samples (
  subject_id INT UNSIGNED NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  at BIGINT NOT NULL,
  cpu_percent FLOAT NULL,
  memory_used_mib INT NULL,
  memory_total_mib INT NULL,
  PRIMARY KEY (subject_id, slot)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
