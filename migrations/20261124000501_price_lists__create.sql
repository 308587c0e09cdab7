CREATE TABLE IF NOT EXISTS price_lists (
  valid_from BIGINT NOT NULL,
  currency VARCHAR(8) NOT NULL,
  per_vcpu DOUBLE NOT NULL,
  per_memory_gib DOUBLE NOT NULL,
  per_disk_gib DOUBLE NOT NULL,
  PRIMARY KEY (valid_from)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
