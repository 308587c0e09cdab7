CREATE TABLE IF NOT EXISTS pool_samples (
  subject_id INT UNSIGNED NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  at BIGINT NOT NULL,
  capacity_bytes BIGINT NOT NULL,
  available_bytes BIGINT NOT NULL,
  PRIMARY KEY (subject_id, slot)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
