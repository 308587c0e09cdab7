-- The schema that all migrations make together, for reading. test/schema.test.ts compares it with the database.

CREATE TABLE settings (
  name VARCHAR(32) CHARACTER SET ascii NOT NULL,
  value VARCHAR(4000) NOT NULL,
  updated_at BIGINT NOT NULL,
  updated_by CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (name)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE sample_subjects (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT,
  owner_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at BIGINT NOT NULL,
  rolled_hour INT UNSIGNED NULL,
  rolled_day INT UNSIGNED NULL,
  PRIMARY KEY (id),
  UNIQUE KEY owner_id (owner_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE users (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  display_name VARCHAR(80) NOT NULL,
  email VARCHAR(254) NOT NULL,
  password_hash VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  role VARCHAR(16) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  language VARCHAR(8) CHARACTER SET ascii NULL,
  quota_instances INT NULL,
  quota_vcpus INT NULL,
  quota_memory_mib INT NULL,
  quota_disk_gib INT NULL,
  used_instances INT NOT NULL DEFAULT 0,
  used_vcpus INT NOT NULL DEFAULT 0,
  used_memory_mib INT NOT NULL DEFAULT 0,
  used_disk_gib INT NOT NULL DEFAULT 0,
  session_epoch INT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE sessions (
  id CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  user_epoch INT NULL,
  data VARCHAR(4000) NOT NULL,
  ip VARCHAR(45) CHARACTER SET ascii NOT NULL,
  user_agent VARCHAR(255) NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  KEY user_id (user_id),
  KEY expires_at (expires_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE setup_links (
  token_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT NULL,
  PRIMARY KEY (token_hash),
  KEY expires_at (expires_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE rate_limits (
  `key` VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  points INT NOT NULL DEFAULT 0,
  expire BIGINT UNSIGNED NULL,
  PRIMARY KEY (`key`),
  KEY expire (expire)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE api_tokens (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(80) NOT NULL,
  token_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  scope VARCHAR(16) CHARACTER SET ascii NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  last_used_at BIGINT NULL,
  revoked_at BIGINT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY token_hash (token_hash),
  KEY user_id (user_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE idempotency_keys (
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  idempotency_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  request_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  claim_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  claimed_until BIGINT NOT NULL,
  status INT NULL,
  response VARBINARY(16000) NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (user_id, idempotency_key),
  KEY expires_at (expires_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE hosts (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  uri VARCHAR(512) NOT NULL,
  wish VARCHAR(16) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  seen_at BIGINT NULL,
  reason VARCHAR(1000) NULL,
  console_address VARCHAR(255) CHARACTER SET ascii NOT NULL,
  network VARCHAR(64) NOT NULL,
  virt_type VARCHAR(8) CHARACTER SET ascii NULL,
  virt_type_wish VARCHAR(8) CHARACTER SET ascii NOT NULL DEFAULT 'auto',
  arch VARCHAR(16) CHARACTER SET ascii NULL,
  cpu_model VARCHAR(128) NULL,
  libvirt_version VARCHAR(32) CHARACTER SET ascii NULL,
  qemu_version VARCHAR(32) CHARACTER SET ascii NULL,
  host_uuid CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  cpus INT NOT NULL DEFAULT 0,
  memory_mib INT NOT NULL DEFAULT 0,
  used_vcpus INT NOT NULL DEFAULT 0,
  used_memory_mib INT NOT NULL DEFAULT 0,
  subject_id INT UNSIGNED NOT NULL,
  created_at BIGINT NOT NULL,
  state_since BIGINT NOT NULL DEFAULT 0,
  fenced_at BIGINT NULL,
  fence_proof VARCHAR(16) CHARACTER SET ascii NULL,
  fence_agent VARCHAR(64) CHARACTER SET ascii NULL,
  fence_parameters VARBINARY(4000) NULL,
  fence_secret VARBINARY(2000) NULL,
  migration_uri VARCHAR(512) NULL,
  recovery_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE storage_pools (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(64) NOT NULL,
  shared TINYINT NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  path VARCHAR(1024) NOT NULL,
  capacity_bytes BIGINT NOT NULL DEFAULT 0,
  available_bytes BIGINT NOT NULL DEFAULT 0,
  sampled_at BIGINT NULL,
  used_gib INT NOT NULL DEFAULT 0,
  subject_id INT UNSIGNED NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE host_pools (
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (host_id, pool_id),
  KEY pool_id (pool_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE images (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(80) NOT NULL,
  description VARCHAR(500) NOT NULL,
  pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  volume VARCHAR(255) NOT NULL,
  format VARCHAR(8) CHARACTER SET ascii NOT NULL,
  virtual_size_bytes BIGINT NOT NULL,
  min_memory_mib INT NOT NULL,
  cloud_init TINYINT NOT NULL,
  enabled TINYINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY name (name),
  UNIQUE KEY pool_id_volume (pool_id, volume)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE flavours (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(64) NOT NULL,
  vcpus INT NOT NULL,
  memory_mib INT NOT NULL,
  disk_gib INT NOT NULL,
  position INT NOT NULL,
  enabled TINYINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE instances (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  state_at BIGINT NOT NULL,
  operation_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  operation_kind VARCHAR(32) CHARACTER SET ascii NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  image_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  vcpus INT NOT NULL,
  memory_mib INT NOT NULL,
  disk_gib INT NOT NULL,
  mac CHAR(17) CHARACTER SET ascii NOT NULL,
  address VARCHAR(45) CHARACTER SET ascii NULL,
  console_port INT NULL,
  console_expires_at BIGINT NULL,
  problem VARCHAR(2000) NULL,
  subject_id INT UNSIGNED NOT NULL,
  created_at BIGINT NOT NULL,
  ha TINYINT NOT NULL DEFAULT 0,
  ha_priority TINYINT NOT NULL DEFAULT 1,
  anti_affinity VARCHAR(32) CHARACTER SET ascii NULL,
  return_host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  moved_at BIGINT NULL,
  recovery_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  addresses VARCHAR(400) CHARACTER SET ascii NULL,
  PRIMARY KEY (id),
  UNIQUE KEY user_id_name (user_id, name),
  UNIQUE KEY mac (mac),
  KEY host_id (host_id),
  KEY created_at (created_at),
  KEY state (state)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE instance_seeds (
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ssh_key VARCHAR(4000) CHARACTER SET ascii NOT NULL,
  user_data VARBINARY(16000) NOT NULL,
  PRIMARY KEY (instance_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE instance_placements (
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  placement VARBINARY(16000) NOT NULL,
  PRIMARY KEY (instance_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE instance_events (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sentence VARCHAR(1000) NOT NULL,
  reason VARCHAR(2000) NULL,
  PRIMARY KEY (id),
  KEY instance_id_at (instance_id, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE operations (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(32) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  input VARBINARY(8000) NOT NULL,
  context VARBINARY(8000) NOT NULL,
  progress_percent INT NULL,
  error VARCHAR(2000) NULL,
  note VARCHAR(500) NULL,
  cancellable TINYINT NOT NULL DEFAULT 1,
  cancel_requested TINYINT NOT NULL DEFAULT 0,
  lease_owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  lease_until BIGINT NOT NULL DEFAULT 0,
  attempts INT NOT NULL DEFAULT 0,
  run_after BIGINT NOT NULL DEFAULT 0,
  waiting_since BIGINT NULL,
  event_at BIGINT NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT NULL,
  ended_at BIGINT NULL,
  PRIMARY KEY (id),
  KEY state_lease_until (state, lease_until),
  KEY instance_id (instance_id),
  KEY created_at (created_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE operation_steps (
  operation_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  position INT NOT NULL,
  name VARCHAR(32) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  started_at BIGINT NULL,
  ended_at BIGINT NULL,
  error VARCHAR(2000) NULL,
  PRIMARY KEY (operation_id, position)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE discrepancies (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(32) CHARACTER SET ascii NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  domain_uuid CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  domain_name VARCHAR(255) NOT NULL,
  first_seen_at BIGINT NOT NULL,
  last_seen_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY host_id_domain_uuid_kind (host_id, domain_uuid, kind)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE jobs (
  name VARCHAR(32) CHARACTER SET ascii NOT NULL,
  lease_owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  lease_until BIGINT NOT NULL DEFAULT 0,
  started_at BIGINT NULL,
  ended_at BIGINT NULL,
  error VARCHAR(2000) NULL,
  PRIMARY KEY (name)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE gate (
  id TINYINT NOT NULL,
  closed TINYINT NOT NULL,
  since BIGINT NOT NULL,
  reasons VARCHAR(4000) NOT NULL,
  checked_at BIGINT NOT NULL,
  turning VARCHAR(200) CHARACTER SET ascii NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE host_samples (
  subject_id INT UNSIGNED NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  at BIGINT NOT NULL,
  cpu_percent FLOAT NULL,
  memory_used_mib INT NULL,
  memory_total_mib INT NULL,
  up TINYINT NULL,
  cpu_user_percent FLOAT NULL,
  cpu_system_percent FLOAT NULL,
  cpu_iowait_percent FLOAT NULL,
  cpu_steal_percent FLOAT NULL,
  memory_cached_mib INT NULL,
  swap_used_mib INT NULL,
  swap_total_mib INT NULL,
  PRIMARY KEY (subject_id, slot)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE instance_samples (
  subject_id INT UNSIGNED NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  at BIGINT NOT NULL,
  cpu_percent FLOAT NULL,
  memory_used_mib INT NULL,
  disk_read_bps FLOAT NULL,
  disk_write_bps FLOAT NULL,
  network_receive_bps FLOAT NULL,
  network_transmit_bps FLOAT NULL,
  detail_at BIGINT NULL,
  memory_available_mib INT NULL,
  disk_read_ops FLOAT NULL,
  disk_write_ops FLOAT NULL,
  disk_allocation_mib INT NULL,
  network_receive_pps FLOAT NULL,
  network_transmit_pps FLOAT NULL,
  network_drops_ps FLOAT NULL,
  PRIMARY KEY (subject_id, slot)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE pool_samples (
  subject_id INT UNSIGNED NOT NULL,
  slot SMALLINT UNSIGNED NOT NULL,
  at BIGINT NOT NULL,
  capacity_bytes BIGINT NOT NULL,
  available_bytes BIGINT NOT NULL,
  PRIMARY KEY (subject_id, slot)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE audit (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  user_name VARCHAR(80) NOT NULL,
  action VARCHAR(64) CHARACTER SET ascii NOT NULL,
  target VARCHAR(255) NOT NULL,
  ip VARCHAR(45) CHARACTER SET ascii NOT NULL,
  result VARCHAR(16) CHARACTER SET ascii NOT NULL,
  detail VARCHAR(2000) NOT NULL,
  PRIMARY KEY (id),
  KEY at (at),
  KEY user_id_at (user_id, at),
  KEY user_name_at (user_name, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE contact_messages (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  name VARCHAR(80) NOT NULL,
  email VARCHAR(254) NOT NULL,
  subject VARCHAR(200) NOT NULL,
  body VARBINARY(12000) NOT NULL,
  mailed_at BIGINT NULL,
  mail_error VARCHAR(250) NULL,
  read_at BIGINT NULL,
  answer VARBINARY(8000) NULL,
  answered_at BIGINT NULL,
  answered_by CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  answer_mailed_at BIGINT NULL,
  answer_mail_error VARCHAR(250) NULL,
  PRIMARY KEY (id),
  KEY at (at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE console_tickets (
  ticket_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session_id CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT NULL,
  PRIMARY KEY (ticket_hash),
  KEY expires_at (expires_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE admin_guard (
  id TINYINT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE host_events (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  kind VARCHAR(32) CHARACTER SET ascii NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  sentence VARCHAR(1000) NOT NULL,
  reason VARCHAR(2000) NULL,
  PRIMARY KEY (id),
  KEY host_id_at (host_id, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE moves (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  with_disk TINYINT NOT NULL,
  from_host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_host_name VARCHAR(64) CHARACTER SET ascii NOT NULL,
  to_host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  to_host_name VARCHAR(64) CHARACTER SET ascii NOT NULL,
  `trigger` VARCHAR(16) CHARACTER SET ascii NOT NULL,
  why VARCHAR(1000) NOT NULL,
  batch_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  actor_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  phase VARCHAR(16) CHARACTER SET ascii NULL,
  transferred_bytes BIGINT NULL,
  remaining_bytes BIGINT NULL,
  total_bytes BIGINT NULL,
  dirty_bytes_per_second BIGINT NULL,
  iteration INT NULL,
  eta_ms BIGINT NULL,
  progress_at BIGINT NULL,
  downtime_ms INT NULL,
  error VARCHAR(2000) NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT NULL,
  ended_at BIGINT NULL,
  begun_at BIGINT NULL,
  from_pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  to_pool_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (id),
  KEY state_created_at (state, created_at),
  KEY instance_id_created_at (instance_id, created_at),
  KEY batch_id (batch_id),
  KEY created_at (created_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE move_guard (
  id TINYINT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE burn_ins (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  report VARBINARY(8000) NOT NULL,
  PRIMARY KEY (id),
  KEY host_id_started_at (host_id, started_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE suggestions (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  from_host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  to_host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  why VARCHAR(1000) NOT NULL,
  gain_percent FLOAT NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  operation_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  PRIMARY KEY (id),
  KEY state_created_at (state, created_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE recoveries (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_name VARCHAR(64) CHARACTER SET ascii NOT NULL,
  state VARCHAR(24) CHARACTER SET ascii NOT NULL,
  drill TINYINT NOT NULL DEFAULT 0,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  seen_at BIGINT NULL,
  noticed_at BIGINT NOT NULL,
  proven_at BIGINT NULL,
  proof VARCHAR(16) CHARACTER SET ascii NULL,
  ended_at BIGINT NULL,
  report VARBINARY(16000) NOT NULL,
  forced TINYINT NOT NULL DEFAULT 0,
  confirmed_by CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  waits_for VARCHAR(1000) NULL,
  fence_tried_at BIGINT NULL,
  alerted_at BIGINT NULL,
  restarted_at BIGINT NULL,
  PRIMARY KEY (id),
  KEY host_id_noticed_at (host_id, noticed_at),
  KEY state (state)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE drills (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  host_name VARCHAR(64) CHARACTER SET ascii NOT NULL,
  mode VARCHAR(16) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  report VARBINARY(16000) NOT NULL,
  PRIMARY KEY (id),
  KEY started_at (started_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE left_behind (
  operation_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  at BIGINT NOT NULL,
  reasons VARBINARY(6000) NOT NULL,
  PRIMARY KEY (operation_id, instance_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE host_checks (
  host_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  report VARBINARY(20000) NOT NULL,
  certificates VARBINARY(1000) NULL,
  PRIMARY KEY (host_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE move_placements (
  move_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  placement VARBINARY(16000) NOT NULL,
  PRIMARY KEY (move_id),
  KEY instance_id_at (instance_id, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE device_samples (
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

CREATE TABLE sample_devices (
  subject_id INT UNSIGNED NOT NULL,
  device TINYINT UNSIGNED NOT NULL,
  name VARCHAR(32) NOT NULL,
  seen_at BIGINT NOT NULL,
  PRIMARY KEY (subject_id, device)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE sample_hours (
  subject_id INT UNSIGNED NOT NULL,
  metric SMALLINT UNSIGNED NOT NULL,
  chunk INT UNSIGNED NOT NULL,
  data VARBINARY(1000) NOT NULL,
  PRIMARY KEY (subject_id, metric, chunk)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
PARTITION BY KEY (subject_id);

CREATE TABLE sample_days (
  subject_id INT UNSIGNED NOT NULL,
  metric SMALLINT UNSIGNED NOT NULL,
  chunk INT UNSIGNED NOT NULL,
  data VARBINARY(1600) NOT NULL,
  PRIMARY KEY (subject_id, metric, chunk)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
PARTITION BY KEY (subject_id);

CREATE TABLE snapshots (
  name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  value VARBINARY(20000) NOT NULL,
  PRIMARY KEY (name)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE alert_rules (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(80) NOT NULL,
  condition_name VARCHAR(40) CHARACTER SET ascii NOT NULL,
  direction VARCHAR(8) CHARACTER SET ascii NOT NULL,
  limit_value DOUBLE NOT NULL,
  clear_value DOUBLE NOT NULL,
  hold_seconds INT NOT NULL,
  scope VARBINARY(8000) NOT NULL,
  severity VARCHAR(16) CHARACTER SET ascii NOT NULL,
  enabled TINYINT NOT NULL,
  quiet_from INT NULL,
  quiet_until INT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE alert_states (
  rule_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  phase VARCHAR(8) CHARACTER SET ascii NOT NULL,
  since BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  incident_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  PRIMARY KEY (rule_id, subject_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE alert_guard (
  id TINYINT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE incidents (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  rule_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  condition_name VARCHAR(40) CHARACTER SET ascii NOT NULL,
  subject_kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  subject_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  subject_name VARCHAR(80) NOT NULL,
  severity VARCHAR(16) CHARACTER SET ascii NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  sentence VARCHAR(2000) NOT NULL,
  opened_at BIGINT NOT NULL,
  resolved_at BIGINT NULL,
  end_reason VARCHAR(16) CHARACTER SET ascii NULL,
  reopened INT NOT NULL DEFAULT 0,
  acknowledged_at BIGINT NULL,
  acknowledged_by CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  note VARCHAR(500) NULL,
  tell VARCHAR(8) CHARACTER SET ascii NULL,
  told_at BIGINT NULL,
  PRIMARY KEY (id),
  KEY state_opened_at (state, opened_at),
  KEY opened_at (opened_at),
  KEY tell (tell)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE incident_events (
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

CREATE TABLE notifications (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  at BIGINT NOT NULL,
  content VARBINARY(16000) NOT NULL,
  PRIMARY KEY (id),
  KEY kind_at (kind, at),
  KEY at (at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE deliveries (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  notification_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  target_kind VARCHAR(16) CHARACTER SET ascii NOT NULL,
  target_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state VARCHAR(16) CHARACTER SET ascii NOT NULL,
  attempts INT NOT NULL DEFAULT 0,
  run_after BIGINT NOT NULL,
  lease_owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
  lease_until BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  ended_at BIGINT NULL,
  error VARCHAR(500) NULL,
  PRIMARY KEY (id),
  UNIQUE KEY notification_id_target_id (notification_id, target_id),
  KEY state_run_after (state, run_after),
  KEY created_at (created_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE webhook_targets (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(80) NOT NULL,
  url VARCHAR(1000) NOT NULL,
  secret VARBINARY(500) NOT NULL,
  enabled TINYINT NOT NULL,
  min_severity VARCHAR(16) CHARACTER SET ascii NOT NULL,
  resolved TINYINT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE usage_periods (
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  opened_at BIGINT NOT NULL,
  closed_at BIGINT NULL,
  user_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_name VARCHAR(32) CHARACTER SET ascii NOT NULL,
  vcpus INT NOT NULL,
  memory_mib INT NOT NULL,
  disk_gib INT NOT NULL,
  PRIMARY KEY (instance_id, opened_at),
  KEY closed_at (closed_at),
  KEY user_id (user_id),
  KEY user_id_instance_id_opened_at (user_id, instance_id, opened_at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE price_lists (
  valid_from BIGINT NOT NULL,
  currency VARCHAR(8) NOT NULL,
  per_vcpu DOUBLE NOT NULL,
  per_memory_gib DOUBLE NOT NULL,
  per_disk_gib DOUBLE NOT NULL,
  PRIMARY KEY (valid_from)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE backups (
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

CREATE TABLE portals (
  id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(100) NOT NULL,
  url VARCHAR(255) NOT NULL,
  version VARCHAR(40) CHARACTER SET ascii NOT NULL,
  lease_owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  started_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  stopped_at BIGINT NULL,
  skew_ms INT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
