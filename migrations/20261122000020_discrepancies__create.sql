CREATE TABLE IF NOT EXISTS discrepancies (
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
