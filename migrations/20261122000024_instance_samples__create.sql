CREATE TABLE IF NOT EXISTS instance_samples (
  subject_id INT UNSIGNED NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  at BIGINT NOT NULL,
  cpu_percent FLOAT NULL,
  memory_used_mib INT NULL,
  disk_read_bps FLOAT NULL,
  disk_write_bps FLOAT NULL,
  network_receive_bps FLOAT NULL,
  network_transmit_bps FLOAT NULL,
  PRIMARY KEY (subject_id, slot)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
