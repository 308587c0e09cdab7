CREATE TABLE IF NOT EXISTS move_placements (
  move_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  instance_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at BIGINT NOT NULL,
  placement VARBINARY(16000) NOT NULL,
  PRIMARY KEY (move_id),
  KEY instance_id_at (instance_id, at)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
