CREATE TABLE IF NOT EXISTS flavours (
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
