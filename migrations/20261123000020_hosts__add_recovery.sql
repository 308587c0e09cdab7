ALTER TABLE hosts
  ADD COLUMN recovery_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL;
