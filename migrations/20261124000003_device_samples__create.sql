CREATE TABLE IF NOT EXISTS device_samples (
  subject_id INT UNSIGNED NOT NULL,
  device TINYINT UNSIGNED NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  at BIGINT NOT NULL,
  read_bps FLOAT NULL,
  write_bps FLOAT NULL,
  read_ops FLOAT NULL,
  write_ops FLOAT NULL,
  drops_ps FLOAT NULL,
  allocation_mib INT NULL,
  PRIMARY KEY (subject_id, device, slot)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
PARTITION BY KEY (subject_id);
