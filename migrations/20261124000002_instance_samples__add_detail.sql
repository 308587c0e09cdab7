ALTER TABLE instance_samples
  ADD COLUMN detail_at BIGINT NULL,
  ADD COLUMN memory_available_mib INT NULL,
  ADD COLUMN disk_read_ops FLOAT NULL,
  ADD COLUMN disk_write_ops FLOAT NULL,
  ADD COLUMN disk_allocation_mib INT NULL,
  ADD COLUMN network_receive_pps FLOAT NULL,
  ADD COLUMN network_transmit_pps FLOAT NULL,
  ADD COLUMN network_drops_ps FLOAT NULL;
