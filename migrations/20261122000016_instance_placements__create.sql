CREATE TABLE IF NOT EXISTS instance_placements (
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  placement VARBINARY(16000) NOT NULL,
  PRIMARY KEY (instance_id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
