CREATE TABLE IF NOT EXISTS left_behind (
  operation_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_name VARCHAR(32) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  at BIGINT NOT NULL,
  reasons VARBINARY(6000) NOT NULL,
  PRIMARY KEY (operation_id, instance_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
