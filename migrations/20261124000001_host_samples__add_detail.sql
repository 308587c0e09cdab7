ALTER TABLE host_samples
  ADD COLUMN up TINYINT NULL,
  ADD COLUMN cpu_user_percent FLOAT NULL,
  ADD COLUMN cpu_system_percent FLOAT NULL,
  ADD COLUMN cpu_iowait_percent FLOAT NULL,
  ADD COLUMN cpu_steal_percent FLOAT NULL,
  ADD COLUMN memory_cached_mib INT NULL,
  ADD COLUMN swap_used_mib INT NULL,
  ADD COLUMN swap_total_mib INT NULL;
